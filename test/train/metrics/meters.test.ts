import { expect, test } from 'vitest';
import { createMeter } from '../../../src/train/metrics/index.ts';
import { iouMeter } from '../../../src/train/metrics/iou.ts';
import type { Batch, Meter, Scores } from '../../../src/train/metrics/index.ts';
import type { Task } from '../../../src/mtlora/spec.ts';
import { loadFixture, loadJson } from '../../support/fixtures.ts';

type Golden = {
  name: string;
  tasks: Task[];
  batches: number[];
  scores: Partial<Record<Task, Record<string, number | number[]>>>;
  details: Partial<Record<Task, { tp: number[]; fp: number[]; fn: number[] }>>;
};

const CASES = loadJson<Golden[]>('metrics', 'cases');

function batchOf(name: string, index: number, task: Task): Batch {
  const { tensor } = loadFixture('metrics', name);
  const { shape, data } = tensor(`b${index}.logits.${task}`);
  return { logits: data, labels: tensor(`b${index}.label.${task}`).data, shape: shape as Batch['shape'] };
}

function fed(meter: Meter, batches: readonly Batch[]): Scores {
  batches.forEach(meter.update);
  return meter.scores();
}

function images({ logits, labels, shape: [count, channels, height, width] }: Batch): Batch[] {
  const part = (data: Batch['labels'], i: number) =>
    data.subarray(i * data.length / count, (i + 1) * data.length / count);
  return Array.from({ length: count }, (_, i) => ({
    logits: part(logits, i) as Float32Array, labels: part(labels, i), shape: [1, channels, height, width],
  }));
}

for (const { name, tasks, batches, scores, details } of CASES) {
  for (const task of tasks) {
    test(`createMeter() reproduces the release's ${task} on ${name}`, () => {
      const fedBatches = batches.map((_, index) => batchOf(name, index, task));
      const outputs = fedBatches[0]!.shape[1];
      const got = fed(createMeter({ name: task, outputs }, { official: true }), fedBatches);
      for (const [key, want] of Object.entries(scores[task]!)) {
        if (Array.isArray(want)) continue;
        expect(Math.abs(got[key]! - want), `${key} ${got[key]} ${want}`).toBeLessThanOrEqual(1e-6 * want);
      }
    });
  }
  for (const task of tasks.filter((each) => each === 'semseg' || each === 'human_parts')) {
    test(`iouMeter() counts ${task} of ${name} exactly`, () => {
      const fedBatches = batches.map((_, index) => batchOf(name, index, task));
      const meter = iouMeter(fedBatches[0]!.shape[1]);
      fed(meter, fedBatches);
      const { tp, fp, fn } = meter.counts;
      expect({ tp: [...tp], fp: [...fp], fn: [...fn] }).toEqual(details[task]);
      const want = scores[task]!.jaccards_all_categs as number[];
      meter.perClass().forEach((iou, c) => expect(iou).toBeCloseTo(want[c]!, 12));
    });
  }
}

test('createMeter() does not depend on how images are batched', () => {
  for (const task of ['semseg', 'human_parts', 'sal', 'normals', 'edge'] as const) {
    const together = [0, 1, 2].map((index) => batchOf('pascal', index, task));
    const outputs = together[0]!.shape[1];
    const got = fed(createMeter({ name: task, outputs }), together.flatMap(images));
    const want = fed(createMeter({ name: task, outputs }), together);
    expect(Object.keys(got)).toEqual(Object.keys(want));
    for (const key of Object.keys(want)) expect(got[key], `${task} ${key}`).toBeCloseTo(want[key]!, 10);
  }
});

test('createMeter() names the shape that is wrong', () => {
  const batch: Batch = { logits: new Float32Array(8), labels: new Uint8Array(4), shape: [1, 2, 2, 2] };
  expect(() => createMeter({ name: 'sal', outputs: 1 }).update(batch))
    .toThrow('saliencyMeter: logits must have 1 channels, got [1, 2, 2, 2]');
  expect(() => iouMeter(2).update({ ...batch, labels: new Uint8Array(3) }))
    .toThrow('iouMeter: labels must hold 4 values, got 3');
});
