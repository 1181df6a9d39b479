import { expect, test } from 'vitest';
import { expectClose } from '../../../src/autograd/gradcheck.ts';
import { evaluate } from '../../../src/autograd/run.ts';
import { lasting, release } from '../../../src/autograd/tensor.ts';
import { ema } from '../../../src/ops/optim/ema.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();

/** a after update t: a + max(1 − decay, 9 / (10 + t)) (p − a). */
function reference(a: number, p: number, t: number, decay: number): number {
  return a + Math.max(1 - decay, 9 / (10 + t)) * (p - a);
}

for (const [count, micro] of [[4, 1], [260, 1], [1032, 3]] as const) {
  test(`ema() agrees with its definition at [${count}], ${micro} micro-batches a step`, async () => {
    const decay = 0.99;
    const values = Float32Array.from({ length: count }, (_, i) => Math.sin(i) * 3);
    const start = Float32Array.from({ length: count }, (_, i) => Math.cos(5 * i));
    const [p, a] = [lasting(gpu(), 'values', [count], values), lasting(gpu(), 'averages', [count], start)];
    let want = [...start];
    for (const t of [0, 1, 2, 40, 1000, 90_000]) {
      want = want.map((at, i) => reference(at, values[i]!, t, decay));
      const [got] = await evaluate(gpu(), () => {
        ema(p, a, { decay, micro });
        return [a];
      }, { step: t * micro + micro - 1 });
      expectClose(`averages after update ${t}`, got!, want, 1e-6);
    }
    for (const tensor of [p, a]) release(gpu(), tensor);
  });
}

test('ema() leaves an average that is its parameter as it is, to the bit', async () => {
  const values = Float32Array.from({ length: 64 }, (_, i) => (i + 1) / 3);
  const [p, a] = [lasting(gpu(), 'values', [64], values), lasting(gpu(), 'averages', [64], values)];
  const [got] = await evaluate(gpu(), () => {
    ema(p, a, { decay: 0.9 });
    return [a];
  }, { step: 7 });
  expect(got).toEqual(values);
  for (const tensor of [p, a]) release(gpu(), tensor);
});

test('ema() names averages of another shape, and values that are no whole vec4', async () => {
  const [p, a, odd] = [lasting(gpu(), 'p', [8]), lasting(gpu(), 'a', [4]), lasting(gpu(), 'odd', [5])];
  await expect(evaluate(gpu(), () => {
    ema(p, a);
    return [a];
  })).rejects.toThrow('ema: averages must be [8], got [4]');
  await expect(evaluate(gpu(), () => {
    ema(odd, odd);
    return [odd];
  })).rejects.toThrow('ema: values must be whole vec4, got [5]');
  for (const tensor of [p, a, odd]) release(gpu(), tensor);
});
