import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { lasting, release } from '../../src/autograd/tensor.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

type Case = {
  x: [number, number, number, number]; n: number; kernel: [number, number];
  dilation?: number; padding?: number; columnBytes?: number;
};

/** The definition. x [B, H, W, C], w [N, C, kh, kw], b [N]. */
function reference({ x: [images, h, w, c], n, kernel: [tall, wide], dilation = 1, padding = 0 }: Case) {
  const [outH, outW] = [h + 2 * padding - dilation * (tall - 1), w + 2 * padding - dilation * (wide - 1)];
  return (...[x, weight, bias]: Float64Array[]): Float64Array =>
    Float64Array.from({ length: images * outH * outW * n }, (_, at) => {
      const [o, pixel] = [at % n, Math.floor(at / n)];
      const [column, row] = [pixel % outW, Math.floor(pixel / outW) % outH];
      const image = Math.floor(pixel / outW / outH);
      let sum = bias ? bias[o]! : 0;
      for (let k = 0; k < c * tall * wide; k++) {
        const [j, i, channel] = [k % wide, Math.floor(k / wide) % tall, Math.floor(k / wide / tall)];
        const [y, z] = [row + i * dilation - padding, column + j * dilation - padding];
        if (y < 0 || y >= h || z < 0 || z >= w) continue;
        sum += weight![o * c * tall * wide + k]! * x![((image * h + y) * w + z) * c + channel]!;
      }
      return sum;
    });
}

const CASES: (Case & { bias?: boolean })[] = [
  { x: [1, 1, 1, 1], n: 1, kernel: [1, 1] },
  { x: [2, 5, 7, 3], n: 4, kernel: [3, 3], padding: 1 },
  { x: [2, 9, 8, 4], n: 5, kernel: [3, 3], dilation: 2, padding: 2, bias: false },
  { x: [1, 14, 5, 2], n: 3, kernel: [3, 3], dilation: 12, padding: 12 },
  { x: [1, 6, 7, 2], n: 3, kernel: [2, 3], padding: 0 },
  { x: [1, 4, 4, 32], n: 21, kernel: [3, 3], padding: 1 },
  // in parts of 12 and of 4 pixels
  { x: [2, 5, 7, 3], n: 4, kernel: [3, 3], padding: 1, columnBytes: 12 * 27 * 4 },
  { x: [1, 3, 3, 2], n: 5, kernel: [3, 3], padding: 1, columnBytes: 1 },
];
for (const { bias = true, ...each } of CASES) {
  const { x, n, kernel, ...options } = each;
  test(`conv2d() agrees with its definition and its derivative at ${JSON.stringify(each)}`, () =>
    gradcheck(gpu(), (...[input, w, b]) => conv2d(input!, w!, b ?? null, options), reference(each),
      [x, [n, x[3], ...kernel], ...(bias ? [[n]] : [])]));
}

test('conv2d() names what does not fit', async () => {
  const [x, w] = [lasting(gpu(), 'x', [1, 2, 2, 3]), lasting(gpu(), 'w', [4, 3, 3, 3])];
  const wide = lasting(gpu(), 'wide', [4, 5, 3, 3]);
  await expect(evaluate(gpu(), () => [conv2d(x, wide, null)]))
    .rejects.toThrow('conv2d: x must be [1, 2, 2, 5], got [1, 2, 2, 3]');
  await expect(evaluate(gpu(), () => [conv2d(x, w, null)]))
    .rejects.toThrow('conv2d: [3, 3] with dilation 1 must fit [2, 2]');
  for (const tensor of [x, w, wide]) release(gpu(), tensor);
});
