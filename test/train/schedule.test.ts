import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/train/config.ts';
import { buildSchedule, rateAt, rateOfUpdate, scheduleOf } from '../../src/train/schedule.ts';
import type { Config } from '../../src/train/config.ts';

type Golden = {
  name: string;
  itersPerEpoch: number;
  initialLr: number;
  afterStepUpdate: [number, number][];
  settings: Omit<Config['TRAIN'], 'LR_SCHEDULER'> & { scheduler: Config['TRAIN']['LR_SCHEDULER'] };
};

const GOLDEN = JSON.parse(readFileSync('test/fixtures/optim/schedules.json', 'utf8')) as Golden[];

for (const { name, itersPerEpoch, initialLr, afterStepUpdate, settings } of GOLDEN) {
  test(`rateAt() agrees with the release's ${name}`, () => {
    const schedule = scheduleOf({ ...settings, LR_SCHEDULER: settings.scheduler }, itersPerEpoch);
    expect(rateOfUpdate(schedule, 0)).toBe(initialLr);
    for (const [t, want] of afterStepUpdate) {
      expect(Math.abs(rateAt(schedule, t) - want), `t = ${t}`).toBeLessThanOrEqual(1e-12 * Math.abs(want));
    }
  });
}

test('buildSchedule() scales the rates by the images of an update', () => {
  const { config } = loadConfig(null, ['DATA.IMG_SIZE', '448'], { batchSize: 32 });
  const schedule = buildSchedule(config, 156);
  expect(schedule).toMatchObject({ warm: 3.125e-8, base: 3.125e-5, warmupSteps: 3120, totalSteps: 46800 });
  expect(schedule.min).toBeCloseTo(3.125e-7, 20);
  expect(rateAt(schedule, 1)).toBeCloseTo(4.1256010e-8, 14);
  expect(rateAt(schedule, 10000)).toBeCloseTo(2.9394518e-5, 12);
  expect(rateAt(schedule, 24960)).toBeCloseTo(1.578125e-5, 12);
});

test('buildSchedule() counts updates, not batches, when gradients accumulate', () => {
  const { config } = loadConfig(null, ['DATA.IMG_SIZE', '448'], { batchSize: 16, accumulationSteps: 2 });
  const schedule = buildSchedule(config, 313);
  expect(schedule).toMatchObject({ base: 3.125e-5, totalSteps: 300 * 156 });
});

test('rateOfUpdate() gives the first two updates the warm-up rate', () => {
  const { config } = loadConfig(null, ['DATA.IMG_SIZE', '448'], { batchSize: 512 });
  const schedule = buildSchedule(config, 10);
  const first = [0, 1, 2].map((step) => rateOfUpdate(schedule, step));
  expect(first).toEqual([5e-7, 5e-7, 5e-7 + (5e-4 - 5e-7) / 200]);
});
