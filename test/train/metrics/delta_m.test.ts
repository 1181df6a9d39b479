import { expect, test } from 'vitest';
import { deltaM, PAPER_BASELINES, TASK_SCORES } from '../../../src/train/metrics/index.ts';
import type { Scores } from '../../../src/train/metrics/index.ts';
import type { Task } from '../../../src/mtlora/spec.ts';
import { loadJson } from '../../support/fixtures.ts';

type Golden = { multi: Partial<Record<Task, Scores>>; single: Partial<Record<Task, Scores>>; value: number };

test('deltaM() agrees with the release, in per cent', () => {
  const cases = loadJson<Golden[]>('metrics', 'delta_m');
  expect(cases).toHaveLength(3);
  for (const { multi, single, value } of cases) {
    const baselines = Object.fromEntries((Object.keys(single) as Task[])
      .map((task) => [task, single[task]![TASK_SCORES[task].key]!]));
    expect(deltaM(multi, baselines)).toBeCloseTo(100 * value, 10);
  }
});

test('deltaM() gives the value of the paper for its rank 64', () => {
  const scores = { semseg: { mIoU: 0.679 }, human_parts: { mIoU: 0.5984 }, sal: { mIoU: 0.654 },
    normals: { mean: 16.6 } };
  expect(deltaM(scores, PAPER_BASELINES)).toBeCloseTo(2.54, 2);
});

test('deltaM() names the task without baseline or score', () => {
  expect(() => deltaM({ depth: { rmse: 1 } }, PAPER_BASELINES)).toThrow(
    'deltaM: depth must have a baseline other than 0, got undefined');
  expect(() => deltaM({ edge: { loss: 1 } }, { edge: 0.7 }))
    .toThrow('deltaM: edge must have the score "odsF"');
});
