import { expect, test } from 'vitest';
import { measure } from '../../bench/support/measure.ts';
import { short, table } from '../../bench/support/report.ts';
import { spreadOf } from '../../bench/support/stats.ts';
import { definition, placesOf, worstError } from '../../bench/support/lora_check.ts';
import { hostInputs, ranksOf, SCALE } from '../../bench/support/lora_case.ts';

test('spreadOf() gives the least, the median and half of the quartiles\' distance', () => {
  expect(spreadOf([5, 1, 3, 2, 4])).toEqual({ min: 1, median: 3, spread: 1 / 3 });
});

test('measure() runs variants in turns, and repeats what is short', async () => {
  const order: string[] = [];
  const variant = (name: string, wallMs: number) => ({
    name, sample: (times: number) => {
      order.push(`${name}${times}`);
      return Promise.resolve({ wallMs, cpuMs: null });
    },
  });
  const timings = await measure([variant('a', 1), variant('b', 9)], { rounds: 2, sampleMs: 4 });
  expect(order).toEqual(['a1', 'a1', 'b1', 'b1', 'a4', 'b1', 'b1', 'a4']);
  expect(timings.map(({ wall, rounds }) => [wall.min, rounds])).toEqual([[1, 2], [9, 2]]);
  expect(timings[0]!.cpu).toBeNull();
});

test('table() puts numbers to the right, and short() keeps three digits', () => {
  expect(table(['name', 'ms'], [['a', short(1234.5)], ['bc', short(0.012345)]])).toBe(
    ['name     ms', '────  ─────', 'a      1235', 'bc    0.012'].join('\n'));
});

test('definition() of the adapted layer gives the gradient of its own output', () => {
  const each = { m: 3, k: 4, n: 5, rank: 2, taskRank: 1, tasks: 2, own: true };
  const inputs = hostInputs(each);
  const loss = (changed: typeof inputs): number => {
    const size = (1 + each.tasks) * each.m * each.n;
    const all = Array.from({ length: size }, (_, i) => ['y', i] as const);
    return definition(each, changed, all).reduce((sum, y, i) => sum + y * inputs.dy[i]!, 0);
  };
  for (const [gradient, name] of [['dx', 'x'], ['da', 'a'], ['dbt', 'bt']] as const) {
    for (let i = 0; i < inputs[name].length; i++) {
      const moved = (by: number) => ({ ...inputs, [name]: inputs[name].with(i, inputs[name][i]! + by) });
      const step = 2 ** -6;                        // the layer is linear in each input: any step will do
      const want = (loss(moved(step)) - loss(moved(-step))) / (2 * step);
      expect(definition(each, inputs, [[gradient, i]])[0]).toBeCloseTo(want, 4);
    }
  }
  expect(ranksOf(each)).toEqual([2, 1, 1]);
  expect(SCALE).toBe(4);
});

test('worstError() takes the worst of the results, each by its own size', () => {
  const places = [['y', 0], ['y', 1], ['dx', 0]] as const;
  expect(worstError(places, [1, 1, 100], [1, 1, 101])).toBeCloseTo(1 / 101);
  const each = { m: 2, k: 3, n: 4, rank: 1, taskRank: 1, tasks: 1, own: false };
  expect(placesOf(each, ['y'], 2)[0]).toEqual(['y', 15]);
});
