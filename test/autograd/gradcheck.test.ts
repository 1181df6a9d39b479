import { expect, test } from 'vitest';
import { expectClose, gradcheck, normals, relL2, type Op } from '../../src/autograd/gradcheck.ts';
import { record } from '../../src/autograd/tape.ts';
import { lasting, release } from '../../src/autograd/tensor.ts';
import { multiply, scale } from '../../src/ops/elementwise.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

/** x², with a gradient that is off by a factor. */
const square = (factor: number): Op => (x) => {
  const fixed = { ...x!, requiresGrad: false };
  return record('square', [x!], multiply(fixed, fixed), (dy) => [scale(multiply(dy, fixed), 2 * factor)]);
};
const definition = (x: Float64Array): Float64Array => x.map((v) => v * v);

test('gradcheck() accepts a right gradient', () => gradcheck(gpu(), square(1), definition, [[5, 7]]));

test('gradcheck() fails on a gradient that is off by a ten-thousandth', () =>
  expect(gradcheck(gpu(), square(1.0001), definition, [[5, 7]]))
    .rejects.toThrow(/^gradient of input 0 along direction\[0\]: got \S+, want \S+ ± \S+$/));

test('gradcheck() fails on a gradient of the wrong sign, and on one that is missing', async () => {
  await expect(gradcheck(gpu(), square(-1), definition, [[3]])).rejects.toThrow(/^gradient of input 0/);
  const without: Op = (x) => record('square', [x!], multiply(x!, x!), () => [null]);
  await expect(gradcheck(gpu(), (x) => without({ ...x!, requiresGrad: false }), definition, [[3]]))
    .rejects.toThrow(/^gradient of input 0 along direction\[0\]: got 0, want/);
});

test('gradcheck() fails where one element of many has the wrong gradient', async () => {
  const factors = lasting(gpu(), 'factors', [500], new Float32Array(500).fill(2).fill(2.02, 250, 251));
  const wrong: Op = (x) => {
    const fixed = { ...x!, requiresGrad: false };
    return record('square', [x!], multiply(fixed, fixed), (dy) => [multiply(multiply(dy, fixed), factors)]);
  };
  await expect(gradcheck(gpu(), wrong, definition, [[500]])).rejects.toThrow(/^gradient of input 0/);
  release(gpu(), factors);
});

test('gradcheck() fails on a wrong output, and names its worst element', () =>
  expect(gradcheck(gpu(), (x) => scale(x!, 2), (x) => x.map((v, i) => i === 3 ? 3 * v : 2 * v), [[6]]))
    .rejects.toThrow(/^output 0: relative L2 error \S+ exceeds 0.000002; worst at 3: got \S+, want \S+$/));

test('gradcheck() passes over the gradient of an input that is fixed', () =>
  gradcheck(gpu(), (x, y) => scale(multiply(x!, y!), 1), (x, y) => x.map((v, i) => v * y![i]!), [[4], [4]], {
    fixed: [1],
  }));

test('expectClose() fails on a NaN and on another length', () => {
  expect(() => expectClose('y', [1, NaN], [1, 2], 1))
    .toThrow('y: relative L2 error Infinity exceeds 1; worst at 1: got NaN, want 2');
  expect(() => expectClose('y', [1], [1, 2], 1)).toThrow('y: got 1 values, want 2');
  expectClose('y', [0], [0], 0);
});

test('relL2() is relative to what is wanted, and absolute where that is zero', () => {
  expect(relL2([3, 4.5], [3, 4])).toBeCloseTo(0.1, 12);
  expect(relL2([0.5, 0], [0, 0])).toBe(0.5);
});

test('normals() has mean 0 and variance 1, and repeats itself', () => {
  const [random, again] = [normals(1), normals(1)];
  const values = Array.from({ length: 20_000 }, random);
  const mean = values.reduce((a, b) => a + b) / values.length;
  expect(mean).toBeCloseTo(0, 1);
  expect(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length).toBeCloseTo(1, 1);
  expect(again()).toBe(values[0]);
});
