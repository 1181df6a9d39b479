import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { lasting, release } from '../../src/autograd/tensor.ts';
import { resizeSum } from '../../src/ops/resize_sum.ts';
import { bilinear } from '../support/bilinear.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

const CASES: [n: number, c: number, base: [number, number], maps: [number, number][]][] = [
  [1, 1, [1, 1], [[1, 1]]],
  [2, 8, [4, 6], [[2, 3], [1, 2]]],
  [3, 5, [7, 9], [[4, 5], [2, 3], [1, 2]]],
  [1, 4, [8, 8], [[8, 8], [4, 4], [2, 2], [16, 3]]],
  [2, 268, [3, 5], [[2, 3], [2, 3], [1, 1]]],
  [2, 8, [4, 12], [[2, 6], [1, 3]]],
  [1, 3, [8, 16], [[4, 8], [1, 2], [8, 16]]],
  [1, 5, [9, 3], [[3, 1]]],
  [1, 4, [6, 12], [[3, 6], [2, 4]]],
];
for (const [n, c, [h, w], maps] of CASES) {
  test(`resizeSum() adds ${JSON.stringify(maps)} to [${n}, ${h}, ${w}, ${c}] as its definition does`, () =>
    gradcheck(gpu(), (base, ...rest) => resizeSum(base!, rest), (base, ...rest) => {
      const resized = rest.map((map, k) => bilinear(map, [n, ...maps[k]!, c], h, w));
      return base!.map((v, i) => resized.reduce((sum, map) => sum + map[i]!, v));
    }, [[n, h, w, c], ...maps.map((extent) => [n, ...extent, c])]));
}

test('resizeSum() takes a task axis', () =>
  gradcheck(gpu(), (base, map) => resizeSum(base!, [map!]), (base, map) => {
    const resized = bilinear(map!, [6, 2, 2, 3], 4, 3);
    return base!.map((v, i) => v + resized[i]!);
  }, [[2, 3, 4, 3, 3], [2, 3, 2, 2, 3]]));

test('resizeSum() names the map that does not fit', async () => {
  const [base, map] = [lasting(gpu(), 'base', [2, 4, 4, 3]), lasting(gpu(), 'map', [2, 2, 2, 4])];
  await expect(evaluate(gpu(), () => [resizeSum(base, [map])]))
    .rejects.toThrow('resizeSum: map 0 must be [2, 2, 2, 3], got [2, 2, 2, 4]');
  for (const tensor of [base, map]) release(gpu(), tensor);
});
