import { expect, test } from 'vitest';
import { gradcheck, type Definition } from '../../../src/autograd/gradcheck.ts';
import { evaluate } from '../../../src/autograd/run.ts';
import { empty, lasting, release } from '../../../src/autograd/tensor.ts';
import { uncertaintyTotal } from '../../../src/ops/losses/uncertainty_total.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();
const MEASURED = [false, true, false, false, true, true, false, true];

for (const count of [1, 2, 5, 8]) {
  test(`uncertaintyTotal() of ${count} losses agrees with its definition and its derivatives`, () => {
    const measured = MEASURED.slice(0, count);
    const definition: Definition = (losses, s) => Float64Array.of(losses!.reduce((sum, loss, t) =>
      sum + (measured[t] ? 0.5 : 1) * Math.exp(-s![t]!) * loss + s![t]! / 2, 0));
    return gradcheck(gpu(), (losses, s) => uncertaintyTotal(losses!, s!, { measured }), definition,
      [[count], [count]]);
  });
}

test('uncertaintyTotal() is least where each weight is half of one by its loss', async () => {
  const losses = [0.25, 3, 1.5];                       // d/ds (e^−s l + s/2) = 0 at e^−s = 1 / 2l
  const at = async (shift: number): Promise<number> => {
    const l = lasting(gpu(), 'l', [3], losses);
    const s = lasting(gpu(), 's', [3], losses.map((loss) => Math.log(2 * loss) + shift));
    const [y] = await evaluate(gpu(), () => [uncertaintyTotal(l, s, { measured: [false, false, false] })]);
    for (const tensor of [l, s]) release(gpu(), tensor);
    return y![0]!;
  };
  const [below, least, above] = [await at(-0.2), await at(0), await at(0.2)];
  expect([least < below, least < above]).toEqual([true, true]);
});

test('uncertaintyTotal() names what does not fit', async () => {
  const total = (losses: number, s: number, flags: number): Promise<unknown> => evaluate(gpu(), () =>
    [uncertaintyTotal(empty([losses]), empty([s]), { measured: MEASURED.slice(0, flags) })]);
  await expect(total(9, 9, 8)).rejects.toThrow('uncertaintyTotal: losses must be 1 to 8, got 9');
  await expect(total(3, 2, 3)).rejects.toThrow('uncertaintyTotal: logVariances must be [3], got [2]');
  await expect(total(3, 3, 2)).rejects.toThrow('uncertaintyTotal: measured must be [3], got [2]');
});
