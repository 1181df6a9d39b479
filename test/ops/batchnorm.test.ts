import { expect, test } from 'vitest';
import { expectClose, gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import type { Shape } from '../../src/autograd/shape.ts';
import { lasting, release, type Tensor } from '../../src/autograd/tensor.ts';
import { batchnorm, batchnormRelu } from '../../src/ops/batchnorm.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

type Stats = { mean: Float64Array; variance: Float64Array };

/** Mean and biased variance of each (group, channel) of x [groups, rows, channels]. */
function statsOf(x: Float64Array, groups: number, channels: number): Stats {
  const rows = x.length / groups / channels;
  const values = (item: number): number[] => Array.from({ length: rows }, (_, row) =>
    x[(Math.floor(item / channels) * rows + row) * channels + item % channels]!);
  const items = { length: groups * channels };
  const mean = Float64Array.from(items, (_, i) => values(i).reduce((a, v) => a + v) / rows);
  const variance = mean.map((m, i) => values(i).reduce((a, v) => a + (v - m) ** 2, 0) / rows);
  return { mean, variance };
}

/** The definition, by the batch's statistics or by given ones. x [T, rows, C], w and b [T, C]. */
function reference(groups: number, channels: number, given: Stats | null, relu = false) {
  return (...[x, w, b]: Float64Array[]): Float64Array => {
    const { mean, variance } = given ?? statsOf(x!, groups, channels);
    const rows = x!.length / groups / channels;
    return x!.map((v, i) => {
      const item = Math.floor(i / rows / channels) * channels + i % channels;
      const y = (v - mean[item]!) / Math.sqrt(variance[item]! + 1e-5) * w![item]! + b![item]!;
      return relu ? Math.max(y, 0) : y;
    });
  };
}

/** Runs `body` with running statistics of the given shape, and gives them back read. */
async function withRunning(
  shape: Shape, body: (mean: Tensor, variance: Tensor) => Promise<unknown>,
): Promise<Stats> {
  const count = shape.reduce((a, b) => a * b, 1);
  const before = initial(count);
  const mean = lasting(gpu(), 'mean', shape, before.mean);
  const variance = lasting(gpu(), 'variance', shape, before.variance);
  await body(mean, variance);
  const [m, v] = await evaluate(gpu(), () => [mean, variance]);
  for (const tensor of [mean, variance]) release(gpu(), tensor);
  return { mean: Float64Array.from(m!), variance: Float64Array.from(v!) };
}
const initial = (count: number): Stats => ({
  mean: Float64Array.from(Float32Array.from({ length: count }, (_, i) => Math.sin(i))),
  variance: Float64Array.from(Float32Array.from({ length: count }, (_, i) => 1.5 + Math.cos(i))),
});

const CASES: [x: Shape, tasks: boolean][] = [
  [[4, 1], false], [[3, 7], false], [[49, 21], false], [[2, 5, 7, 8], false], [[1100, 4], false],
  [[1, 3, 5], true], [[3, 2, 4, 4, 5], true], [[2, 67, 268], true],
];
for (const [shape, tasks] of CASES) {
  const channels = shape.at(-1)!;
  const groups = tasks ? shape[0]! : 1;
  const affine = tasks ? [groups, channels] : [channels];
  const where = `[${shape.join(', ')}]${tasks ? ' with a task axis' : ''}`;

  test(`batchnorm() agrees with its definition and its derivative in training at ${where}`, () =>
    withRunning(affine, (mean, variance) =>
      gradcheck(gpu(), (x, w, b) => batchnorm(x!, w!, b!, mean, variance, { training: true }),
        reference(groups, channels, null), [shape, affine, affine])));

  test(`batchnorm() agrees with its definition and its derivative in evaluation at ${where}`, async () => {
    const given = initial(groups * channels);
    const after = await withRunning(affine, (mean, variance) =>
      gradcheck(gpu(), (x, w, b) => batchnorm(x!, w!, b!, mean, variance, { training: false }),
        reference(groups, channels, given), [shape, affine, affine]));
    expect(after).toEqual(given);
  });

  // a step so small that it crosses no kink of the relu
  test(`batchnormRelu() agrees with its definition and its derivative at ${where}`, () =>
    withRunning(affine, (mean, variance) =>
      gradcheck(gpu(), (x, w, b) => batchnormRelu(x!, w!, b!, mean, variance, { training: true }),
        reference(groups, channels, null, true), [shape, affine, affine], { epsilon: 1e-7 })));
}

test('batchnorm() moves the running statistics by a tenth, towards the unbiased variance', async () => {
  const [groups, rows, channels] = [2, 37, 5];
  const values = Float32Array.from({ length: groups * rows * channels }, (_, i) => Math.sin(i * i) + i % 5);
  const x = lasting(gpu(), 'x', [groups, rows, channels], values);
  const ones = lasting(gpu(), 'w', [groups, channels], new Float32Array(groups * channels).fill(1));
  const after = await withRunning([groups, channels], (mean, variance) =>
    evaluate(gpu(), () => [batchnorm(x, ones, ones, mean, variance, { training: true })]));
  const [before, batch] = [initial(groups * channels), statsOf(Float64Array.from(values), groups, channels)];
  expectClose('mean', after.mean, before.mean.map((m, i) => 0.9 * m + 0.1 * batch.mean[i]!), 1e-6);
  expectClose('variance', after.variance,
    before.variance.map((v, i) => 0.9 * v + 0.1 * batch.variance[i]! * rows / (rows - 1)), 1e-6);
  for (const tensor of [x, ones]) release(gpu(), tensor);
});

test('batchnorm() keeps its digits where the mean is far larger than the deviation', () => {
  const values = Float32Array.from({ length: 1200 * 4 }, (_, i) => 1000 + Math.sin(i));
  // what is left is the rounding of the mean, 6e-8 of 1000
  return withRunning([4], (mean, variance) =>
    gradcheck(gpu(), (x, w, b) => batchnorm(x!, w!, b!, mean, variance, { training: true }),
      reference(1, 4, null), [[1200, 4], [4], [4]],
      { values: [values, null, null], tolerance: 1e-4, gradTolerance: 1e-3 }));
});

test('batchnorm() gives the input its gradient where scale and shift are frozen', () =>
  withRunning([6], (mean, variance) =>
    gradcheck(gpu(), (x, w, b) => batchnorm(x!, w!, b!, mean, variance, { training: true }),
      reference(1, 6, null), [[50, 6], [6], [6]], { fixed: [1, 2] })));

test('batchnorm() names what does not fit', async () => {
  const [x, w, wide] = [lasting(gpu(), 'x', [1, 3]), lasting(gpu(), 'w', [3]), lasting(gpu(), 'wide', [4])];
  const run = (b: Tensor, training: boolean) =>
    expect(evaluate(gpu(), () => [batchnorm(x, w, b, w, w, { training })])).rejects;
  await run(wide, false).toThrow('batchnorm: b must be [3], got [4]');
  await run(w, true).toThrow('batchnorm: training must have more than one value a channel, got [1, 3]');
  for (const tensor of [x, w, wide]) release(gpu(), tensor);
});
