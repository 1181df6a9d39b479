// Ops over several tensors agree with the same ops one after another, also where some have no gradient.
import { expect, test } from 'vitest';
import { evaluate } from '../../src/autograd/run.ts';
import { backward } from '../../src/autograd/tape.ts';
import { empty, lasting, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import { linear, linears } from '../../src/ops/matmul.ts';
import { resizeBilinear, resizeEach } from '../../src/ops/resize.ts';
import { dispatch } from '../../src/gpu/program.ts';
import { seeded } from '../support/seeded.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

function given(shape: readonly number[], seed: number): Tensor {
  const draw = seeded(seed);
  const count = shape.reduce((a, b) => a * b, 1);
  const data = Float32Array.from({ length: count }, () => draw(2001) / 1000 - 1);
  return trainable(lasting(gpu(), `given ${seed}`, shape, data));
}

/** What `op` gives, and the gradients of `inputs` from those of the first `used` outputs. */
async function run(inputs: readonly Tensor[], used: number, op: () => Tensor[]): Promise<Float32Array[]> {
  return evaluate(gpu(), () => {
    const ys = op();
    const found = backward(ys.slice(0, used).map((y, i) => {
      const dy = empty(y.shape, 'dy');
      const count = y.shape.reduce((a, b) => a * b, 1);
      const params = { count, value: i + 0.5 };
      dispatch('elementwise/fill', { y: dy }, { threads: Math.ceil(count / 4), params });
      return [y, dy] as const;
    }));
    return [...ys, ...inputs.flatMap((input) => found.get(input) ?? [])];
  });
}

for (const used of [2, 1]) {
  test(`linears() agrees with linear() of each, ${used} of 2 with a gradient`, async () => {
    const [x, w] = [given([2, 5, 7], 1), given([2, 3, 7], 2)];
    const [z, v] = [given([13, 8], 3), given([21, 8], 4)];
    const inputs = [x, w, z, v];
    const together = await run(inputs, used, () => linears([x, z], [w, v]));
    const apart = await run(inputs, used, () => [linear(x, w, null), linear(z, v, null)]);
    expect(together).toHaveLength(2 + 2 * used);
    expect(together).toEqual(apart);
  });

  test(`resizeEach() agrees with resizeBilinear() of each, ${used} of 2 with a gradient`, async () => {
    const inputs = [given([3, 5, 4], 1), given([2, 6, 4, 3], 2)];
    const together = await run(inputs, used, () => resizeEach(inputs, 12, 20));
    const apart = await run(inputs, used, () => inputs.map((x) => resizeBilinear(x, 12, 20)));
    expect(together).toHaveLength(2 + used);
    expect(together).toEqual(apart);
  });
}
