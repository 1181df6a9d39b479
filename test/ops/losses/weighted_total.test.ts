import { expect, test } from 'vitest';
import { gradcheck, type Definition } from '../../../src/autograd/gradcheck.ts';
import { evaluate } from '../../../src/autograd/run.ts';
import { empty } from '../../../src/autograd/tensor.ts';
import { weightedTotal } from '../../../src/ops/losses/weighted_total.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();
const WEIGHTS = [50, 2, 1, 10, 5, -0.5];

for (const count of [1, 2, 5, 6]) {
  test(`weightedTotal() of ${count} losses agrees with its definition`, () => {
    const weights = WEIGHTS.slice(0, count);
    const definition: Definition = (...losses) =>
      Float64Array.of(losses.reduce((sum, [l], t) => sum + weights[t]! * l!, 0));
    return gradcheck(gpu(), (...losses) => weightedTotal(losses, weights), definition, weights.map(() => []));
  });
}

test('weightedTotal() names a wrong number of losses or weights', async () => {
  const total = (losses: number, weights: number): Promise<unknown> => evaluate(gpu(), () =>
    [weightedTotal(Array.from({ length: losses }, () => empty([])), WEIGHTS.slice(0, weights))]);
  await expect(total(0, 0)).rejects.toThrow('weightedTotal: losses must be 1 to 6 tensors, got 0');
  await expect(total(7, 6)).rejects.toThrow('weightedTotal: losses must be 1 to 6 tensors, got 7');
  await expect(total(3, 2)).rejects.toThrow('weightedTotal: weights must be 3, got 2');
});
