import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { deferred, handOver, isAwaited, recall, recomputable } from '../../src/autograd/recall.ts';
import { backward, record } from '../../src/autograd/tape.ts';
import { lasting, release, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import { compile } from '../../src/gpu/executable.ts';
import { keep, trace } from '../../src/gpu/program.ts';
import { gelu, reshape, scale } from '../../src/ops/elementwise.ts';
import { linear } from '../../src/ops/matmul.ts';
import { erf } from '../support/erf.ts';
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

test('gelu() is not kept for the layer after it, but made again with its gradient, in one pass', async () => {
  const values = Float32Array.from({ length: 64 * 256 }, (_, i) => i % 7 - 3);
  const x = trainable(lasting(gpu(), 'x', [64, 256], values));
  const w = trainable(lasting(gpu(), 'w', [16, 256], new Float32Array(16 * 256).fill(0.1)));
  const { executable } = await compile(gpu(), 'mlp', () => {
    const y = linear(gelu(scale(x, 0.5)), w, null);
    const gradients = backward([[y, null]]);
    keep(y, gradients.get(x)!, gradients.get(w)!);
  });
  const paths = executable.commands.map(({ dispatch }) => dispatch.path);
  expect(paths.filter((path) => path.startsWith('elementwise/gelu')))
    .toEqual(['elementwise/gelu', 'elementwise/gelu_both']);
  executable.destroy();
  for (const tensor of [x, w]) release(gpu(), tensor);
});

test('gelu() made again with its own gradient gives the layer after it the gradient of its weight', () => {
  const definition = (x: Float64Array, w: Float64Array): Float64Array => {
    const active = x.map((v) => v / 2 * (1 + erf(v / Math.SQRT2)));
    return Float64Array.from({ length: 21 }, (_, i) =>
      [0, 1, 2, 3, 4].reduce((sum, k) => sum + active[Math.floor(i / 3) * 5 + k]! * w[i % 3 * 5 + k]!, 0));
  };
  return gradcheck(gpu(), (x, w) => linear(gelu(x!), w!, null), (x, w) => definition(x!, w!),
    [[7, 5], [3, 5]]);
});

test('deferred() waits for the op that made x, where that hands x over, and for no other', () => {
  const x = trainable(lasting(gpu(), 'x', [4]));
  const w = trainable(lasting(gpu(), 'w', [4]));
  const order: string[] = [];
  trace(gpu(), 'deferred', () => {
    const given = scale(x, 3);
    const doubled = (): Tensor => {
      const y: Tensor = record('doubled', [x], scale(x, 2), (dy) => {
        order.push(isAwaited(y) ? 'doubled, awaited' : 'doubled');
        if (isAwaited(y)) handOver(y, given);
        return [dy];
      });
      return recomputable(y, () => scale(x, 2), { handsOver: true });
    };
    const reader = (name: string, a: Tensor, p: Tensor): Tensor => record(name, [a, p], scale(a, 1), (dy) => [
      dy, deferred(a, () => {
        order.push(`${name} reads ${recall(a).storage === given.storage ? 'what was given' : 'its input'}`);
        return dy;
      }),
    ]);
    const y = reader('second', reader('first', reshape(doubled(), [4, 1]), w), w);
    expect(backward([[y, null]]).get(w)).not.toBeNull();
    backward([[doubled(), null]]);
    const x2 = doubled();
    expect(backward([[reader('third', x2, scale(w, 1)), null]]).get(w)).not.toBeNull();
  });
  expect(order).toEqual([
    'second reads its input', 'doubled, awaited', 'first reads what was given', 'doubled',
    'third reads its input', 'doubled',                       // its parameter's gradient goes on to w
  ]);
  for (const tensor of [x, w]) release(gpu(), tensor);
});
