import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { lasting, release } from '../../src/autograd/tensor.ts';
import { softmax } from '../../src/ops/softmax.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

/** The definition, over rows of `length`. */
function reference(x: Float64Array, length: number): Float64Array {
  return x.map((v, i) => {
    const row = x.subarray(i - i % length, i - i % length + length);
    const largest = Math.max(...row);
    return Math.exp(v - largest) / row.reduce((sum, u) => sum + Math.exp(u - largest), 0);
  });
}

for (const shape of [[1, 1], [3, 7], [49, 49], [2, 3, 21], [5, 33], [2, 1000]]) {
  test(`softmax() agrees with its definition and its derivative at [${shape.join(', ')}]`, () =>
    gradcheck(gpu(), (x) => softmax(x!), (x) => reference(x!, shape.at(-1)!), [shape]));
}

test('softmax() neither overflows nor vanishes', async () => {
  const x = lasting(gpu(), 'x', [2, 2], [1e30, 1e30, -1e30, 100]);
  const [y] = await evaluate(gpu(), () => [softmax(x)]);
  release(gpu(), x);
  expect([...y!]).toEqual([0.5, 0.5, 0, 1]);
});
