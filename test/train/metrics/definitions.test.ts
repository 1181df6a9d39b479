// The meters as they are by default, held to their definitions written out in f64.
import { expect, test } from 'vitest';
import { createMeter } from '../../../src/train/metrics/index.ts';
import type { Batch } from '../../../src/train/metrics/index.ts';
import type { Task } from '../../../src/mtlora/spec.ts';
import { loadFixture } from '../../support/fixtures.ts';

/** The single-image batches that the release's saliency meter gets wrong. */
function singles(task: Task): Batch[] {
  const { tensor } = loadFixture('metrics', 'pascal_batch1');
  return [0, 1].map((index) => {
    const { shape, data } = tensor(`b${index}.logits.${task}`);
    return { logits: data, labels: tensor(`b${index}.label.${task}`).data, shape: shape as Batch['shape'] };
  });
}

function scoresOf(task: Task, batches: readonly Batch[]): Readonly<Record<string, number>> {
  const meter = createMeter({ name: task, outputs: batches[0]!.shape[1] });
  batches.forEach(meter.update);
  return meter.scores();
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function confusion({ logits, labels }: Batch, above: (p: number) => boolean): [number, number, number] {
  const counts: [tp: number, fp: number, fn: number] = [0, 0, 0];
  logits.forEach((x, i) => {
    const [got, want] = [above(sigmoid(x)), labels[i] === 1];
    if (got && want) counts[0]++;
    else if (got) counts[1]++;
    else if (want) counts[2]++;
  });
  return counts;
}

test('saliencyMeter() measures single images as images', () => {
  const batches = singles('sal');
  const thresholds = Array.from({ length: 15 }, (_, i) => 0.2 + 0.05 * i);
  const perThreshold = thresholds.map((threshold) => {
    const counts = batches.map((batch) => confusion(batch, (p) => p > threshold));
    const precision = mean(counts.map(([tp, fp]) => tp / (tp + fp + 1e-12)));
    const recall = mean(counts.map(([tp, , fn]) => tp / (tp + fn + 1e-12)));
    return {
      iou: mean(counts.map(([tp, fp, fn]) => tp + fp + fn === 0 ? 1 : tp / (tp + fp + fn))),
      f: 2 * precision * recall / (precision + recall + 1e-12),
    };
  });
  const beta = Array.from({ length: 19 }, (_, i) => {
    const counts = batches.map((batch) => confusion(batch, (p) => p >= 0.05 * (i + 1)));
    const [tp, fp, fn] = [0, 1, 2].map((k) => counts.reduce((sum, each) => sum + each[k]!, 0)) as
      [number, number, number];
    const [precision, recall] = [tp / (tp + fp), tp / (tp + fn)];
    return 1.3 * precision * recall / (0.3 * precision + recall) || 0;
  });
  const got = scoresOf('sal', batches);
  expect(got.mIoU).toBeCloseTo(Math.max(...perThreshold.map(({ iou }) => iou)), 12);
  expect(got.maxF).toBeCloseTo(Math.max(...perThreshold.map(({ f }) => f)), 12);
  expect(got['Beta maxF']).toBeCloseTo(Math.max(...beta), 12);
});

test('normalsMeter() reports the root mean square angle as rmse', () => {
  const angles = singles('normals').flatMap(({ logits, labels, shape: [, , height, width] }) =>
    Array.from({ length: height * width }, (_, i) => {
      const at = [i, i + height * width, i + 2 * height * width];
      const [n, m] = [at.map((j) => logits[j]!), at.map((j) => labels[j]!)];
      const dot = n.reduce((sum, x, k) => sum + x * m[k]!, 0) / Math.hypot(...n);
      return m[0] === 255 ? [] : [180 / Math.PI * Math.acos(Math.min(1, Math.max(-1, dot)))];
    }).flat());
  const got = scoresOf('normals', singles('normals'));
  expect(got.mean).toBeCloseTo(mean(angles), 9);
  expect(got.rmse).toBeCloseTo(Math.sqrt(mean(angles.map((angle) => angle ** 2))), 9);
  expect(got.within_11).toBeCloseTo(100 * mean(angles.map((angle) => Number(angle < 11.25))), 9);
  expect(got.within_22).toBeCloseTo(100 * mean(angles.map((angle) => Number(angle < 22.5))), 9);
  expect(got.within_30).toBeCloseTo(100 * mean(angles.map((angle) => Number(angle < 30))), 9);
});

test('edgeMeter() takes logits for logits', () => {
  const losses = singles('edge').flatMap(({ logits, labels }) => Array.from(logits, (x, i) =>
    labels[i]! >= 0.5 ? -0.95 * Math.log(sigmoid(x)) : -0.05 * Math.log(sigmoid(-x))));
  expect(scoresOf('edge', singles('edge')).loss).toBeCloseTo(mean(losses), 10);
});

test('depthMeter() lifts predictions to a depth that has a logarithm', () => {
  const batch: Batch = {
    logits: Float32Array.of(-1, 2, 7), labels: Float32Array.of(1, 4, 255), shape: [1, 1, 1, 3],
  };
  const got = scoresOf('depth', [batch]);
  expect(got.rmse).toBeCloseTo(Math.sqrt((1 + 4) / 2), 8);
  expect(got.log_rmse).toBeCloseTo(Math.sqrt((Math.log(1e-9) ** 2 + Math.log(2) ** 2) / 2), 8);
});
