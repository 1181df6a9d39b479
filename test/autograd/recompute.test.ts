import { expect, test } from 'vitest';
import { evaluate } from '../../src/autograd/run.ts';
import { backward, recall, recomputable } from '../../src/autograd/tape.ts';
import { lasting, release, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import { compile } from '../../src/gpu/executable.ts';
import { keep } from '../../src/gpu/program.ts';
import { gelu, reshape, scale } from '../../src/ops/elementwise.ts';
import { linear } from '../../src/ops/matmul.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

test('recall() computes a recomputable tensor again, through a reshape too, and no other', async () => {
  const x = lasting(gpu(), 'x', [2, 3], [1, 2, 3, 4, 5, 6]);
  let runs = 0;
  const [again] = await evaluate(gpu(), () => {
    const double = (): Tensor => {
      runs += 1;
      return scale(x, 2);
    };
    const y = reshape(recomputable(double(), double), [6]);
    expect(recall(x)).toBe(x);
    return [recall(y)];
  });
  expect(runs).toBe(2);
  expect([...again!]).toEqual([2, 4, 6, 8, 10, 12]);
  release(gpu(), x);
});

test('gelu() is not kept for the layer after it: its output lives only while that layer runs', async () => {
  const values = Float32Array.from({ length: 64 * 256 }, (_, i) => i % 7 - 3);
  const x = trainable(lasting(gpu(), 'x', [64, 256], values));
  const w = trainable(lasting(gpu(), 'w', [16, 256], new Float32Array(16 * 256).fill(0.1)));
  const { executable } = await compile(gpu(), 'mlp', () => {
    const y = linear(gelu(scale(x, 0.5)), w, null);
    const gradients = backward([[y, null]]);
    keep(y, gradients.get(x)!, gradients.get(w)!);
  });
  const paths = executable.commands.map(({ dispatch }) => dispatch.path);
  expect(paths.filter((path) => path === 'elementwise/gelu')).toHaveLength(2);
  executable.destroy();
  for (const tensor of [x, w]) release(gpu(), tensor);
});
