import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { lasting, release } from '../../src/autograd/tensor.ts';
import { linearEach } from '../../src/ops/linear_each.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

/** The definition; inputs x [T, M, K], T weights [n_t, K], T biases [n_t]. */
function reference(m: number, k: number, widths: readonly number[]) {
  return (x: Float64Array, ...rest: Float64Array[]): Float64Array[] => widths.map((n, t) =>
    Float64Array.from({ length: m * n }, (_, at) => {
      const [row, out] = [Math.floor(at / n), at % n];
      const xs = x.subarray((t * m + row) * k, (t * m + row + 1) * k);
      return xs.reduce((sum, v, i) => sum + v * rest[t]![out * k + i]!, rest[widths.length + t]![out]!);
    }));
}

const CASES: [m: number, k: number, widths: number[]][] = [
  [1, 1, [1]], [5, 7, [3, 1]], [49, 72, [21, 7, 1, 3]], [67, 33, [40, 3, 1, 1]],
];
for (const [m, k, widths] of CASES) {
  const shapes = [[widths.length, m, k], ...widths.map((n) => [n, k]), ...widths.map((n) => [n])];
  test(`linearEach() agrees with its definition from [${m}, ${k}] to ${widths.join(', ')}`, () =>
    gradcheck(gpu(), (x, ...rest) => linearEach(x!, rest.slice(0, widths.length), rest.slice(widths.length)),
      (x, ...rest) => reference(m, k, widths)(x!, ...rest), shapes));
}

test('linearEach() gives zero to the entries that the loss leaves out', () =>
  gradcheck(gpu(), (x, ...rest) => linearEach(x!, rest.slice(0, 3), rest.slice(3))[1]!,
    (x, ...rest) => reference(5, 4, [2, 3, 4])(x!, ...rest)[1]!,
    [[3, 5, 4], [2, 4], [3, 4], [4, 4], [2], [3], [4]]));

test('linearEach() names the weight that does not fit', async () => {
  const [x, w, b] = [lasting(gpu(), 'x', [1, 2, 3]), lasting(gpu(), 'w', [4, 5]), lasting(gpu(), 'b', [4])];
  const run = (ws: typeof x[]) => expect(evaluate(gpu(), () => linearEach(x, ws, [b]))).rejects;
  await run([w]).toThrow('linearEach: weight 0 must be [4, 3], got [4, 5]');
  await run([w, w]).toThrow('linearEach: must get 1 weights and biases, got 2 and 1');
  for (const tensor of [x, w, b]) release(gpu(), tensor);
});
