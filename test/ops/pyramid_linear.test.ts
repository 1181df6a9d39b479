import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import type { Shape } from '../../src/autograd/shape.ts';
import { lasting, release } from '../../src/autograd/tensor.ts';
import { pyramidLinear } from '../../src/ops/pyramid_linear.ts';
import { bilinear } from '../support/bilinear.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

type Case = {
  tasks: number; images: number; n: number; sizes: [number, number][]; channels: number[]; base?: number;
};

/** The definition: resize to the base's size, concatenate, multiply each pixel by w; inputs [...xs, w, b]. */
function reference({ tasks, images, n, sizes, channels, base = 0 }: Case) {
  const [height, width] = sizes[base]!;
  const total = channels.reduce((a, c) => a + c);
  const area = height * width;
  return (...inputs: Float64Array[]): Float64Array => {
    const xs = channels.map((c, i) => bilinear(inputs[i]!, [tasks * images, ...sizes[i]!, c], height, width));
    const [w, b] = [inputs[channels.length]!, inputs[channels.length + 1]];
    return Float64Array.from({ length: tasks * images * area * n }, (_, at) => {
      const [out, pixel] = [at % n, Math.floor(at / n)];
      const task = Math.floor(pixel / area / images);
      const joined = xs.flatMap((x, i) => [...x.subarray(pixel * channels[i]!, (pixel + 1) * channels[i]!)]);
      const row = (task * n + out) * total;
      return joined.reduce((sum, v, k) => sum + v * w[row + k]!, b ? b[task * n + out]! : 0);
    });
  };
}

const stacked = true;
const CASES: (Case & { stacked?: boolean; bias?: boolean })[] = [
  { tasks: 1, images: 1, n: 1, sizes: [[1, 1], [1, 1]], channels: [1, 1] },
  { tasks: 1, images: 2, n: 7, sizes: [[6, 4], [3, 2], [2, 1], [1, 1]], channels: [3, 5, 2, 4] },
  { tasks: 3, images: 2, n: 20, sizes: [[7, 5], [4, 3], [2, 2], [2, 2]], channels: [4, 8, 4, 12], stacked },
  { tasks: 1, images: 1, n: 9, sizes: [[2, 2], [3, 3], [5, 4]], channels: [6, 3, 5], base: 2, bias: false },
  { tasks: 2, images: 1, n: 3, sizes: [[4, 2], [2, 1], [4, 2]], channels: [3, 2, 4], stacked },
  { tasks: 1, images: 2, n: 3, sizes: [[2, 3], [2, 3]], channels: [3, 2] },
  { tasks: 1, images: 1, n: 72, sizes: [[9, 9], [5, 5], [3, 3], [3, 3]], channels: [18, 36, 72, 144],
    stacked },
];
for (const { bias = true, ...rest } of CASES) {
  const { tasks, images, n, sizes, channels, base = 0 } = rest;
  const total = channels.reduce((a, c) => a + c);
  const lead = rest.stacked ? [tasks] : [];
  const shapes: Shape[] = [
    ...channels.map((c, i) => [...lead, images, ...sizes[i]!, c]),
    [...lead, n, total], ...(bias ? [[...lead, n]] : []),
  ];
  test(`pyramidLinear() agrees with its definition on ${JSON.stringify(shapes)}`, () =>
    gradcheck(gpu(), (...inputs) => {
      const [w, b] = inputs.slice(channels.length);
      return pyramidLinear(inputs.slice(0, channels.length), w!, b ?? null, { base });
    }, reference(rest), shapes));
}

test('pyramidLinear() computes no gradient of what is frozen', () =>
  gradcheck(gpu(), (x, y, w, b) => pyramidLinear([x!, y!], w!, b!),
    reference({ tasks: 1, images: 1, n: 3, sizes: [[4, 4], [2, 2]], channels: [2, 3] }),
    [[1, 4, 4, 2], [1, 2, 2, 3], [3, 5], [3]], { fixed: [1, 2, 3] }));

test('pyramidLinear() names what does not fit', async () => {
  const [x, w] = [lasting(gpu(), 'x', [1, 2, 2, 3]), lasting(gpu(), 'w', [4, 5])];
  await expect(evaluate(gpu(), () => [pyramidLinear([x, x], w, null)]))
    .rejects.toThrow('pyramidLinear: w must be [4, 6], got [4, 5]');
  for (const tensor of [x, w]) release(gpu(), tensor);
});
