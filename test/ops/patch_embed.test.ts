import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { empty } from '../../src/autograd/tensor.ts';
import { patchEmbed } from '../../src/ops/patch_embed.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

/** The definition: a convolution of stride p. image [B, channels, H, W], w [E, channels, p, p], b [E] */
function reference([images, channels, height, width]: number[], embed: number, p: number) {
  return (...[image, w, b]: Float64Array[]): Float64Array => {
    const y: number[] = [];
    for (let n = 0; n < images!; n++) {
      for (let py = 0; py < height! / p; py++) {
        for (let px = 0; px < width! / p; px++) {
          for (let e = 0; e < embed; e++) {
            let sum = b![e]!;
            for (let c = 0; c < channels!; c++) {
              for (let ky = 0; ky < p; ky++) {
                for (let kx = 0; kx < p; kx++) {
                  sum += w![((e * channels! + c) * p + ky) * p + kx]!
                    * image![((n * channels! + c) * height! + py * p + ky) * width! + px * p + kx]!;
                }
              }
            }
            y.push(sum);
          }
        }
      }
    }
    return Float64Array.from(y);
  };
}

for (const [image, embed, p] of [
  [[1, 3, 4, 4], 1, 4], [[2, 3, 8, 12], 16, 4], [[1, 3, 6, 4], 5, 2], [[2, 1, 3, 5], 7, 1],
  [[1, 3, 16, 8], 8, 8], [[3, 2, 6, 9], 4, 3], [[1, 3, 56, 40], 96, 4],
] as [number[], number, number][]) {
  test(`patchEmbed() agrees with its definition at [${image.join(', ')}], patch ${p}, E = ${embed}`, () =>
    gradcheck(gpu(), (x, w, b) => patchEmbed(x!, w!, b!), reference(image, embed, p),
      [image, [embed, image[1]!, p, p], [embed]]));
}

test('patchEmbed() names what does not fit', async () => {
  const trace = (image: number[], w: number[]) =>
    evaluate(gpu(), () => [patchEmbed(empty(image), empty(w), empty([w[0]!]))]);
  await expect(trace([1, 3, 8, 10], [16, 3, 4, 4])).rejects.toThrow(
    'patchEmbed: W = 10 must be a multiple of the patch size 4');
  await expect(trace([1, 3, 8, 8], [16, 3, 4, 2])).rejects.toThrow(
    'patchEmbed: w must be [16, 3, 4, 4], got [16, 3, 4, 2]');
});
