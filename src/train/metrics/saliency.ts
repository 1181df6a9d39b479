// Saliency: foreground IoU and F-measures over a range of thresholds.
//
//   mIoU       per threshold the mean over images of TP / (TP + FP + FN), 1 where all are 0; the largest
//   maxF       per threshold precision and recall averaged over images, F = 2PR / (P + R); the largest
//   Beta maxF  counts of the whole set, F = 1.3 PR / (0.3 P + R); the largest
//
// Thresholds are moved into logit space once, so that a pixel costs comparisons and no exponential. A
// histogram over the gaps between them, summed from the top, gives the pixels above each one.
import { expectBatch, logitOf } from './meter.ts';
import type { Batch, Meter } from './meter.ts';

const THRESHOLDS = Array.from({ length: 15 }, (_, i) => 0.2 + 0.7 * i / 14);
const BETA_THRESHOLDS = Array.from({ length: 19 }, (_, i) => (i + 1) / 20);
const BETA_SQUARED = 0.3;
const TINY = 1e-12;

/** Pixels above at least k of the cuts, k from 0, on foreground and on background: entry 0 is all pixels. */
type Above = { readonly tp: Float64Array; readonly fp: Float64Array };

/** Adds the pixels `start` … `end` of a batch to `above`; `inclusive` counts a cut itself as above it. */
function addAbove({ tp, fp }: Above, cuts: Float64Array, inclusive: boolean, { logits, labels }: Batch,
  start: number, end: number): void {
  const [hits, misses] = [new Float64Array(tp.length), new Float64Array(tp.length)];
  for (let i = start; i < end; i++) {
    const x = logits[i]!;
    let passed = 0;
    while (passed < cuts.length && (x > cuts[passed]! || (inclusive && x === cuts[passed]!))) passed++;
    if (labels[i]! >= 0.5) hits[passed]!++;
    else misses[passed]!++;
  }
  let [sumHits, sumMisses] = [0, 0];
  for (let k = tp.length - 1; k >= 0; k--) {
    tp[k]! += sumHits += hits[k]!;
    fp[k]! += sumMisses += misses[k]!;
  }
}

function noneAbove(cuts: Float64Array): Above {
  return { tp: new Float64Array(cuts.length + 1), fp: new Float64Array(cuts.length + 1) };
}

/** The largest of `values`, where a quotient 0 / 0 counts as 0. */
function largest(values: readonly number[]): number {
  return Math.max(...values.map((value) => Number.isNaN(value) ? 0 : value));
}

type PerImage = {
  readonly add: (batch: Batch, start: number, end: number) => void;
  readonly scores: () => [mIoU: number, maxF: number];
};

/** Sums over images of what `THRESHOLDS` give. */
function perImageSums(): PerImage {
  const cuts = Float64Array.from(THRESHOLDS, logitOf);
  const [iou, precision, recall] = [cuts.slice().fill(0), cuts.slice().fill(0), cuts.slice().fill(0)];
  let images = 0;

  function add(batch: Batch, start: number, end: number): void {
    const { tp, fp } = noneAbove(cuts);
    addAbove({ tp, fp }, cuts, false, batch, start, end);
    const positives = tp[0]!;
    for (let cut = 0; cut < cuts.length; cut++) {
      const [hits, misses] = [tp[cut + 1]!, fp[cut + 1]!];
      const union = positives + misses;
      iou[cut]! += union === 0 ? 1 : hits / union;
      precision[cut]! += hits / (hits + misses + TINY);
      recall[cut]! += hits / (positives + TINY);
    }
    images++;
  }

  function scores(): [mIoU: number, maxF: number] {
    const f = THRESHOLDS.map((_, cut) => {
      const [p, r] = [precision[cut]! / images, recall[cut]! / images];
      return 2 * p * r / (p + r + TINY);
    });
    return [largest(Array.from(iou, (sum) => sum / images)), largest(f)];
  }
  return { add, scores };
}

/** `official`: a batch of one image is measured row by row, Beta maxF takes the sigmoid of probabilities. */
export function saliencyMeter({ official = false } = {}): Meter {
  const perImage = perImageSums();
  const betaCuts = Float64Array.from(BETA_THRESHOLDS, (threshold) =>
    logitOf(official ? logitOf(threshold) : threshold));
  const whole = noneAbove(betaCuts);

  function update(batch: Batch): void {
    expectBatch('saliencyMeter', batch, 1);
    const [images, , height, width] = batch.shape;
    const size = official && images === 1 ? width : height * width;
    const end = images * height * width;
    for (let start = 0; start < end; start += size) perImage.add(batch, start, start + size);
    addAbove(whole, betaCuts, true, batch, 0, end);
  }

  function scores(): { 'Beta maxF': number; maxF: number; mIoU: number } {
    const { tp, fp } = whole;
    const f = BETA_THRESHOLDS.map((_, cut) => {
      const precision = tp[cut + 1]! / (tp[cut + 1]! + fp[cut + 1]!);
      const recall = tp[cut + 1]! / tp[0]!;
      return (1 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall);
    });
    const [mIoU, maxF] = perImage.scores();
    return { 'Beta maxF': largest(f), maxF, mIoU };
  }
  return { update, scores };
}
