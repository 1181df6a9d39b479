import { expect, test } from 'vitest';
import { evaluate } from '../../src/autograd/run.ts';
import { withoutGrad } from '../../src/autograd/recall.ts';
import { backward, record, recordMany } from '../../src/autograd/tape.ts';
import { empty, lasting, release, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import { dropDeadDispatches } from '../../src/gpu/dead.ts';
import { keep, scope, trace } from '../../src/gpu/program.ts';
import { split } from '../../src/ops/concat.ts';
import { add, gelu, multiply, scale } from '../../src/ops/elementwise.ts';
import { linear } from '../../src/ops/matmul.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

/** The gradients of `inputs` by the sum of the elements of `body`'s output; null where there is none. */
async function gradients(
  inputs: readonly Tensor[], body: () => Tensor,
): Promise<(number[] | null)[]> {
  const found: (Tensor | null)[] = [];
  const values = await evaluate(gpu(), () => {
    const all = backward([[body(), null]]);
    found.push(...inputs.map((x) => all.get(x)));
    return found.filter((gradient) => gradient !== null);
  });
  return found.map((gradient) => gradient && [...values.shift()!]);
}

function input(values: readonly number[], shape = [values.length]): Tensor {
  return trainable(lasting(gpu(), 'x', shape, values));
}

const frozen = (x: Tensor): Tensor => ({ ...x, requiresGrad: false });

test('backward() sums the gradients of a tensor with several uses', async () => {
  const x = input([1, 2, 3]);
  const [dx] = await gradients([x], () => add(multiply(x, x), add(scale(x, 5), x)));    // x² + 5x + x
  expect(dx).toEqual([8, 10, 12]);
  release(gpu(), x);
});

test('backward() sums the gradients of a tensor that an op has in between', async () => {
  const x = input([1, -2]);
  const [dx] = await gradients([x], () => {
    const y = scale(x, 3);
    return add(multiply(y, y), y);                                                       // 9x² + 3x
  });
  expect(dx).toEqual([21, -33]);
  release(gpu(), x);
});

test('backward() gives a frozen input no gradient, and launches nothing for it', async () => {
  const [x, w] = [input([1, 2, 3, 4], [2, 2]), lasting(gpu(), 'w', [3, 2], [1, 2, 3, 4, 5, 6])];
  const [dx, dw] = await gradients([x, w], () => linear(x, w, null));
  expect([dx, dw]).toEqual([[9, 12, 9, 12], null]);
  const launches = (weight: Tensor): number => trace(gpu(), 'counted', () => {
    backward([[linear(x, weight, null), null]]);
  }).program.dispatches.length;
  expect(launches(w)).toBe(launches(trainable(w)) - 1);
  for (const tensor of [x, w]) release(gpu(), tensor);
});

test('backward() passes over a gradient that an op makes for a frozen input', async () => {
  const [x, w] = [input([1, 2]), lasting(gpu(), 'w', [2], [3, 4])];
  const [dx, dw] = await gradients([x, w], () =>
    record('product', [x, w], multiply(frozen(x), w), (dy) => [multiply(dy, w), multiply(dy, frozen(x))]));
  expect([dx, dw]).toEqual([[3, 4], null]);
  for (const tensor of [x, w]) release(gpu(), tensor);
});

test('record() puts nothing on the tape where nothing upstream is trainable', async () => {
  const x = lasting(gpu(), 'x', [2], [1, 2]);
  const { program } = trace(gpu(), 'frozen', () => {
    const y = gelu(x);
    expect(y.requiresGrad).toBe(false);
    keep(y);
    expect(backward([[y, null]]).get(x)).toBeNull();
  });
  dropDeadDispatches(program);
  expect(program.dispatches.map(({ path }) => path)).toEqual(['elementwise/gelu']);
  release(gpu(), x);
});

test('withoutGrad() cuts the tape, also inside of a gradient', async () => {
  const x = input([1, 2]);
  const [dx] = await gradients([x], () => multiply(x, withoutGrad(() => scale(x, 10))));
  expect(dx).toEqual([10, 20]);
  release(gpu(), x);
});

test('backward() does not record what gradients are made of', async () => {
  const x = input([2]);
  let recorded = 0;
  const [dx] = await gradients([x], () => record('cube', [x], multiply(x, multiply(x, x)), (dy) => {
    const slope = scale(multiply(x, x), 3);
    recorded += Number(slope.requiresGrad);
    return [multiply(dy, slope)];
  }));
  expect(dx).toEqual([12]);
  expect(recorded).toBe(0);
  release(gpu(), x);
});

test('backward() hands an op null for an output that the loss does not depend on', async () => {
  const x = input([1, 2, 3, 4]);
  const seen: boolean[][] = [];
  const [dx] = await gradients([x], () => {
    const outputs = [scale(frozen(x), 1), scale(frozen(x), 1)];
    const [left] = recordMany('twice', [x], outputs, (dys) => {
      seen.push(dys.map((dy) => dy === null));
      return [dys[0]!];
    });
    return left!;
  });
  expect(seen).toEqual([[false, true]]);
  expect(dx).toEqual([1, 1, 1, 1]);
  release(gpu(), x);
});

test('backward() treats an unused output as one with gradient zero', async () => {
  const x = input([1, 2, 3]);
  const [dx] = await gradients([x], () => scale(split(x, 0, [1, 2])[1]!, 7));
  expect(dx).toEqual([0, 7, 7]);
  release(gpu(), x);
});

test('backward() plays no op that the loss does not depend on, and empties the tape', async () => {
  const x = input([1]);
  let played = 0;
  trace(gpu(), 'unused', () => {
    record('aside', [x], scale(frozen(x), 2), () => {
      played += 1;
      return [null];
    });
    const loss = scale(x, 2);
    expect(backward([[loss, null]]).get(x)).not.toBeNull();
    expect(backward([[loss, null]]).get(x)).toBeNull();
  });
  expect(played).toBe(0);
  release(gpu(), x);
});

test('backward() starts from the gradient that a seed gives', async () => {
  const [x, dy] = [input([1, 2]), lasting(gpu(), 'dy', [2], [10, 100])];
  const [dx] = await evaluate(gpu(), () => [backward([[scale(x, 2), dy]]).get(x)!]);
  expect([...dx!]).toEqual([20, 200]);
  for (const tensor of [x, dy]) release(gpu(), tensor);
});

test('backward() labels an op\'s gradient with the scopes of its forward', () => {
  const x = input([1, 2]);
  const { program } = trace(gpu(), 'labels', () => {
    const y = scope('block', () => scope('mlp', () => gelu(x)));
    scope('after', () => backward([[y, null]]));
  });
  expect(program.dispatches.map(({ label }) => label)).toEqual([
    'block mlp elementwise/gelu', 'after elementwise/fill', 'block mlp elementwise/gelu_backward',
  ]);
  release(gpu(), x);
});

test('backward() names the op whose gradient has another size than its input', () => {
  const x = input([1, 2, 3]);
  trace(gpu(), 'wrong', () => {
    const y = record('broken', [x], scale(frozen(x), 1), () => [empty([2, 1])]);
    expect(() => backward([[y, null]])).toThrow('broken: the gradient of input 0 must be [3], got [2, 1]');
  });
  release(gpu(), x);
});
