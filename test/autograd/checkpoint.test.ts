import { expect, test } from 'vitest';
import { normals } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { backward, checkpoint } from '../../src/autograd/tape.ts';
import { lasting, release, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import { compile } from '../../src/gpu/executable.ts';
import { keep } from '../../src/gpu/program.ts';
import { dropout } from '../../src/ops/dropout.ts';
import { gelu } from '../../src/ops/elementwise.ts';
import { linear } from '../../src/ops/matmul.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();
const [ROWS, WIDTH, LAYERS] = [64, 32, 6];

function tensors(): { x: Tensor; weights: Tensor[]; free: () => void } {
  const random = normals(5);
  const make = (label: string, shape: number[]): Tensor =>
    trainable(lasting(gpu(), label, shape, Float32Array.from({ length: shape[0]! * shape[1]! }, random)));
  const x = make('x', [ROWS, WIDTH]);
  const weights = Array.from({ length: LAYERS }, (_, i) => make(`w${i}`, [WIDTH, WIDTH]));
  return { x, weights, free: () => [x, ...weights].forEach((tensor) => release(gpu(), tensor)) };
}

/** Layers with dropout, each of which is a checkpoint or is not. */
function network(x: Tensor, weights: readonly Tensor[], checkpointed: boolean): Tensor {
  const layer = (input: Tensor, w: Tensor): Tensor =>
    dropout(gelu(linear(input, w, null)), 0.3, { training: true });
  return weights.reduce((y, w) =>
    checkpointed ? checkpoint('layer', () => [layer(y, w)])[0]! : layer(y, w), x);
}

test('checkpoint() gives the same gradients, bit for bit, and draws the same random numbers', async () => {
  const { x, weights, free } = tensors();
  const [kept, again] = await Promise.all([false, true].map((checkpointed) => evaluate(gpu(), () => {
    const y = network(x, weights, checkpointed);
    const gradients = backward([[y, null]]);
    return [y, ...[x, ...weights].map((tensor) => gradients.get(tensor)!)];
  }, { seed: 9, step: 3 })));
  expect(again).toEqual(kept);
  expect(again!.every((values) => values.some((value) => value !== 0))).toBe(true);
  free();
});

test('checkpoint() lowers the planned peak', async () => {
  const { x, weights, free } = tensors();
  const peak = async (checkpointed: boolean): Promise<number> => {
    const { executable } = await compile(gpu(), 'step', () => {
      const gradients = backward([[network(x, weights, checkpointed), null]]);
      keep(...weights.map((w) => gradients.get(w)!));
    });
    executable.destroy();
    return executable.plan.peakBytes;
  };
  expect(await peak(true)).toBeLessThan(0.8 * await peak(false));
  free();
});

test('a program runs no dispatch that nobody sees', async () => {
  const { x, weights, free } = tensors();
  const { executable } = await compile(gpu(), 'half used', () => {
    const seen = linear(x, weights[0]!, null);
    gelu(linear(x, weights[1]!, null));
    keep(seen);
  });
  expect(executable.plan.dispatches).toBe(1);
  executable.destroy();
  free();
});
