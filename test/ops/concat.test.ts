import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { lasting, release, trainable } from '../../src/autograd/tensor.ts';
import type { Shape } from '../../src/autograd/shape.ts';
import { keep, trace } from '../../src/gpu/program.ts';
import { concat, slice, split } from '../../src/ops/concat.ts';
import { scale } from '../../src/ops/elementwise.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();
const product = (dims: Shape): number => dims.reduce((a, b) => a * b, 1);

/** Joins row-major arrays along an axis. */
function joined(parts: Float64Array[], shapes: readonly Shape[], axis: number): Float64Array {
  const widths = shapes.map((shape) => product(shape.slice(axis)));
  const rows = product(shapes[0]!.slice(0, axis));
  return Float64Array.from(Array.from({ length: rows }, (_, row) =>
    parts.flatMap((part, i) => [...part.subarray(row * widths[i]!, (row + 1) * widths[i]!)])).flat());
}

/** `count` entries of an axis of a row-major array. */
function part(x: Float64Array, shape: Shape, axis: number, start: number, count: number): Float64Array {
  const inner = product(shape.slice(axis + 1));
  return x.filter((_, i) => {
    const at = Math.floor(i / inner) % shape[axis]!;
    return at >= start && at < start + count;
  });
}

const JOINS: [axis: number, shapes: Shape[]][] = [
  [1, [[3, 4], [3, 8], [3, 12]]],
  [1, [[3, 4], [3, 1], [3, 7]]],
  [0, [[1, 5], [3, 5]]],
  [0, [[2, 3, 4], [1, 3, 4]]],
  [2, [[2, 7, 3, 5], [2, 7, 2, 5]]],
  [3, [[1, 2, 2, 18], [1, 2, 2, 36], [1, 2, 2, 72], [1, 2, 2, 144]]],
  [0, [[131]]],
];
for (const [axis, shapes] of JOINS) {
  test(`concat() joins ${JSON.stringify(shapes)} along axis ${axis} and hands each its gradient`, () =>
    gradcheck(gpu(), (...xs) => concat(xs, axis), (...xs) => joined(xs, shapes, axis), shapes));
}

test('concat() joins the last axis by default', () =>
  gradcheck(gpu(), (...xs) => concat(xs), (...xs) => joined(xs, [[2, 1], [2, 3]], 1), [[2, 1], [2, 3]]));

const CUTS: [shape: Shape, axis: number, start: number, count: number][] = [
  [[3, 12], 1, 4, 4], [[3, 7], 1, 2, 3], [[5, 3], 0, 0, 2], [[4, 2, 5], -2, 1, 1], [[2, 3, 8], 1, 0, 3],
  [[130], 0, 129, 1],
];
for (const [shape, axis, start, count] of CUTS) {
  test(`slice() takes ${count} from ${start} on of axis ${axis} of [${shape.join(', ')}]`, () =>
    gradcheck(gpu(), (x) => slice(x!, axis, start, count),
      (x) => part(x!, shape, axis < 0 ? axis + shape.length : axis, start, count), [shape]));
}

test('split() cuts an axis into parts, whose gradients come back joined', () =>
  gradcheck(gpu(), (x) => split(x!, 1, [4, 1, 3]), (x) =>
    [[0, 4], [4, 1], [5, 3]].map(([start, count]) => part(x!, [5, 8, 3], 1, start!, count!)), [[5, 8, 3]]));

test('split() gives no gradient to what the loss leaves out', () =>
  gradcheck(gpu(), (x) => split(x!, 0, [2, 1, 1])[1]!, (x) => part(x!, [4, 8], 0, 2, 1), [[4, 8]]));

test('concat(), slice() and split() name what does not fit', async () => {
  const [a, b] = [lasting(gpu(), 'a', [2, 3]), lasting(gpu(), 'b', [3, 3])];
  const running = (body: () => unknown) => expect(evaluate(gpu(), () => { body(); return []; })).rejects;
  await running(() => concat([a, b], 1)).toThrow('concat: input 1 must be [2, 3], got [3, 3]');
  await running(() => concat([a, b], 2)).toThrow('concat: axis must lie within [2, 3], got 2');
  await running(() => slice(a, 1, 2, 2)).toThrow('slice: [2, 4) must lie within axis 1 of [2, 3]');
  await running(() => split(a, 1, [1, 1])).toThrow('split: parts [1, 1] must fill axis 1 of [2, 3]');
  for (const tensor of [a, b]) release(gpu(), tensor);
});

test('slice() and split() read what lies side by side where it is', () => {
  const x = trainable(lasting(gpu(), 'x', [5, 64, 4]));
  const { program } = trace(gpu(), 'views', () => {
    const y = scale(x, 2);
    keep(slice(y, 0, 0, 1), ...split(y, 0, [1, 4]), slice(slice(y, 0, 1, 3), 0, 2, 1));
    keep(slice(y, 1, 0, 2));                                           // of every row
    keep(slice(x, 0, 0, 1));                                           // of what someone may write
  });
  expect(program.dispatches.map(({ path }) => path))
    .toEqual(['elementwise/scale', 'concat/take', 'concat/take']);
  expect([...program.kept].map(({ within }) => within?.at)).toEqual([0, 0, 1024, 3072, undefined, undefined]);
  release(gpu(), x);
});

test('slice() of the first axis reads the right entries of what it shares', async () => {
  const x = lasting(gpu(), 'x', [6, 64], Float32Array.from({ length: 384 }, (_, i) => i));
  const read = await evaluate(gpu(), () => {
    const y = scale(x, 2);
    return [slice(y, 0, 1, 2), scale(slice(y, 0, 4, 1), 3), slice(slice(y, 0, 2, 4), 0, 1, 1)];
  });
  expect(read.map((values) => [values.length, values[0], values.at(-1)]))
    .toEqual([[128, 128, 382], [64, 1536, 1914], [64, 384, 510]]);
  release(gpu(), x);
});
