import { expect, test } from 'vitest';
import { gradcheck, type Definition } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { size } from '../../src/autograd/shape.ts';
import { empty, lasting, release } from '../../src/autograd/tensor.ts';
import { philox } from '../../src/data/philox.ts';
import { dropPath, residual } from '../../src/ops/residual.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

/** Factors [G, B] of the first draw of a program, at step 0 of seed 0. */
const drawn = (count: number, rate: number): number[] => Array.from({ length: count }, (_, i) =>
  philox([i >> 2, 0, 0, 1], [0, 0])[i & 3]! >= Math.round(rate * 2 ** 32) ? 1 / (1 - rate) : 0);

type Residual = { readonly streams: number; readonly inner: number; readonly factors: readonly number[] };

/** y[g, b] = x[g or 0, b] + factor[g, b] · branch[g, b], with x in the first `residualStreams` only. */
const definition = ({ streams, inner, factors }: Residual, residualStreams = streams): Definition =>
  (x, branch) => branch!.map((v, i) => {
    const stream = Math.floor(i / (branch!.length / streams));
    return factors[Math.floor(i / inner)]! * v + (stream < residualStreams ? x![i % x!.length]! : 0);
  });

const SHAPES = [[1, 1, 1], [3, 2, 5, 3], [5, 2, 7, 8], [2, 3, 49, 12], [5, 1, 257]];

for (const shape of SHAPES) {
  const [streams, samples, ...rest] = shape as [number, number, ...number[]];
  const inner = size(rest);
  const one = [1, samples, ...rest];
  const name = `[${shape.join(', ')}]`;

  for (const [training, rate] of [[true, 0.4], [true, 0], [false, 0.4]] as const) {
    const factors = drawn(streams * samples, training ? rate : 0);
    const options = { rate, training };
    const sizes = { streams, inner, factors };
    const dropped: Definition = (x) => x!.map((v, i) => factors[Math.floor(i / inner)]! * v);
    const mode = `${training ? 'training' : 'evaluation'} at rate ${rate}`;

    test(`residual() with x of one stream agrees with its definition at ${name}, ${mode}`, () =>
      gradcheck(gpu(), (x, b) => residual(x!, b!, options), definition(sizes), [one, shape]));

    test(`residual() with x of every stream agrees with its definition at ${name}, ${mode}`, () =>
      gradcheck(gpu(), (x, b) => residual(x!, b!, options), definition(sizes), [shape, shape]));

    test(`residual() with x for the shared stream agrees with its definition at ${name}, ${mode}`, () => {
      const shared = { ...options, residualStreams: 'shared' } as const;
      return gradcheck(gpu(), (x, b) => residual(x!, b!, shared), definition(sizes, 1), [one, shape]);
    });

    test(`dropPath() agrees with its definition at ${name}, ${mode}`, () =>
      gradcheck(gpu(), (x) => dropPath(x!, rate, options), dropped, [shape]));
  }
}

test('residual() takes a mask in place of a drawn one', () => {
  const factors = [0, 1.5, 2, 0, 1, 0.25];
  return gradcheck(
    gpu(), (x, b, mask) => residual(x!, b!, { rate: 0.3, training: true, mask: mask! }),
    (x, b) => definition({ streams: 3, inner: 20, factors })(x!, b!), [[1, 2, 5, 4], [3, 2, 5, 4], [3, 2]],
    { values: [null, null, factors], fixed: [2] },
  );
});

test('dropPath() drops samples and streams apart, as often as its rate says', async () => {
  const [streams, samples] = [5, 4000];
  const x = lasting(gpu(), 'x', [streams, samples, 1], new Float32Array(streams * samples).fill(1));
  const [read] = await evaluate(gpu(), () => [dropPath(x, 0.2, { training: true })], { seed: 5 });
  const rows = Array.from({ length: streams }, (_, g) => read!.subarray(g * samples, (g + 1) * samples));
  for (const [g, row] of rows.entries()) {
    expect(new Set(row)).toEqual(new Set([0, 1.25]));
    const share = row.filter((v) => v === 0).length / samples;
    expect(Math.abs(share - 0.2)).toBeLessThan(4 * Math.sqrt(0.16 / samples));
    for (const other of rows.slice(g + 1)) {
      const both = row.filter((v, b) => v === 0 && other[b] === 0).length / samples;
      expect(Math.abs(both - 0.04)).toBeLessThan(4 * Math.sqrt(0.04 * 0.96 / samples));
    }
  }
  release(gpu(), x);
});

test('residual() names what does not fit', async () => {
  const run = (x: number[], branch: number[], options = {}): Promise<unknown> => evaluate(gpu(), () =>
    [residual(empty(x), empty(branch), { rate: 0, training: true, ...options })]);
  await expect(run([2, 2, 4], [5, 2, 4])).rejects.toThrow('residual: x must be [1, 2, 4], got [2, 2, 4]');
  await expect(run([5, 2, 4], [5, 2, 4], { residualStreams: 'shared' }))
    .rejects.toThrow('residual: x must be [1, 2, 4], got [5, 2, 4]');
  await expect(run([1, 2, 4], [5, 2, 4], { rate: 1 }))
    .rejects.toThrow('residual: rate must be from 0 to below 1, got 1');
});
