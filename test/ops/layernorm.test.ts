import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { empty, lasting, release, type Tensor } from '../../src/autograd/tensor.ts';
import { kernelForm, withKernelForm } from '../../src/ops/kernel_form.ts';
import { layernorm } from '../../src/ops/layernorm.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

/** The definition. x [N, C], w [C], b [C]. */
function reference(eps: number) {
  return (...[x, w, b]: Float64Array[]): Float64Array => {
    const channels = w!.length;
    const y = new Float64Array(x!.length);
    for (let at = 0; at < y.length; at += channels) {
      const row = x!.subarray(at, at + channels);
      const mean = row.reduce((sum, v) => sum + v, 0) / channels;
      const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / channels;
      row.forEach((v, c) => { y[at + c] = (v - mean) / Math.sqrt(variance + eps) * w![c]! + b![c]!; });
    }
    return y;
  };
}

for (const [rows, channels] of [
  [1, 1], [3, 7], [1, 12], [49, 96], [5, 300], [300, 1], [67, 33], [2, 768], [2, 3072], [9000, 4],
] as const) {
  test(`layernorm() agrees with its definition and its derivative at [${rows}, ${channels}]`, () =>
    gradcheck(gpu(), (x, w, b) => layernorm(x!, w!, b!), reference(1e-5),
      [[rows, channels], [channels], [channels]]));
}

for (const [rows, channels] of [[1, 32], [97, 64], [70, 96], [33, 384]] as const) {
  for (const form of ['plain', 'panel'] as const) {
    test(`layernorm() agrees with its definition in ${form} form at [${rows}, ${channels}]`, (context) => {
      context.skip(form === 'panel' && kernelForm(gpu()) !== 'panel', 'this device has no panel form');
      const op = (...[x, w, b]: Tensor[]) => withKernelForm(form, () => layernorm(x!, w!, b!));
      return gradcheck(gpu(), op, reference(1e-5), [[rows, channels], [channels], [channels]]);
    });
  }
}

// one lane a row and rows past a workgroup's, lanes without an item, two rounds of sums, several runs
for (const [rows, channels] of [[129, 4], [7, 100], [33, 1024], [2100, 96]] as const) {
  test(`layernorm() agrees with its definition in tile form at [${rows}, ${channels}]`, () =>
    gradcheck(gpu(), (x, w, b) => layernorm(x!, w!, b!), reference(1e-5),
      [[rows, channels], [channels], [channels]], { around: (body) => withKernelForm('tile', body) }));
}

test('layernorm() takes eps and leading axes', () =>
  gradcheck(gpu(), (x, w, b) => layernorm(x!, w!, b!, { eps: 0.5 }), reference(0.5),
    [[2, 3, 5, 8], [8], [8]]));

test('layernorm() keeps its digits where the mean is far larger than the deviation', () => {
  const values = Float32Array.from({ length: 3 * 96 }, (_, i) => 1000 + Math.sin(i));
  return gradcheck(gpu(), (x, w, b) => layernorm(x!, w!, b!), reference(1e-5),
    [[3, 96], [96], [96]], { values: [values, null, null], tolerance: 1e-4, gradTolerance: 1e-3 });
});

test('layernorm() gives frozen parameters no gradient', () =>
  gradcheck(gpu(), (x, w, b) => layernorm(x!, w!, b!), reference(1e-5),
    [[6, 8], [8], [8]], { fixed: [1, 2] }));

test('layernorm() takes more rows than one grid axis holds', async () => {
  const rows = 140_000;
  const values = Float32Array.from({ length: 2 * rows }, (_, i) => i % 2 ? 3 + i : i);
  const x = lasting(gpu(), 'x', [rows, 2], values);
  const w = lasting(gpu(), 'w', [2], [1, 2]);
  const b = lasting(gpu(), 'b', [2], [10, 20]);
  const [y] = await evaluate(gpu(), () => [layernorm(x, w, b, { eps: 0 })]);
  expect([...new Set(y!.filter((_, i) => i % 2 === 0))]).toEqual([9]);
  expect([...new Set(y!.filter((_, i) => i % 2 === 1))]).toEqual([22]);
  for (const tensor of [x, w, b]) release(gpu(), tensor);
});

test('layernorm() names the input whose shape is wrong', () =>
  expect(evaluate(gpu(), () => {
    const wide = empty([192]);
    return [layernorm(empty([4, 96]), wide, wide)];
  })).rejects.toThrow('layernorm: w must be [96], got [192]'));
