import { expect, test } from 'vitest';
import { countBatches, following, permutation, sampleUniforms } from '../../src/data/order.ts';

test('permutation() holds every index once, and differs by seed and epoch', () => {
  const order = permutation(100, 1, 0);
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  expect(permutation(100, 1, 0)).toEqual(order);
  expect(permutation(100, 1, 1)).not.toEqual(order);
  expect(permutation(100, 2, 0)).not.toEqual(order);
});

test('permutation() puts each index first equally often', () => {
  const first = new Array<number>(5).fill(0);
  for (let epoch = 0; epoch < 5000; epoch++) first[permutation(5, 9, epoch)[0]!]!++;
  for (const times of first) expect(Math.abs(times - 1000)).toBeLessThan(115); // four standard deviations
});

test('permutation() and sampleUniforms() stay what they are, or old runs could not be resumed', () => {
  expect([...permutation(8, 42, 3)]).toEqual([3, 0, 7, 4, 5, 2, 6, 1]);
  expect(sampleUniforms(42, 3, 17)).toEqual(
    [0.39546871185302734, 0.016471147537231445, 0.5096023082733154, 0.10015767812728882]);
});

test('countBatches() drops an incomplete batch in training only', () => {
  expect([countBatches(4998, 32, true), countBatches(5105, 32, false)]).toEqual([156, 160]);
  expect([countBatches(64, 32, true), countBatches(64, 32, false)]).toEqual([2, 2]);
});

test('following() goes on to the next epoch', () => {
  expect(following({ epoch: 2, batch: 0 }, 2)).toEqual({ epoch: 2, batch: 1 });
  expect(following({ epoch: 2, batch: 1 }, 2)).toEqual({ epoch: 3, batch: 0 });
});
