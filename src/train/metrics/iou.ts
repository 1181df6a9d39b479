// Segmentation: intersection over union of each class over the whole data set.
//
//   IoU_c = TP_c / (TP_c + FP_c + FN_c)      mIoU = mean over all classes, absent ones count as 0
import { expectBatch, IGNORE } from './meter.ts';
import type { Batch, Meter } from './meter.ts';
import { classify } from './postprocess.ts';

type IouCounts = { readonly tp: Float64Array; readonly fp: Float64Array; readonly fn: Float64Array };

export type IouMeter = Meter & {
  readonly perClass: () => number[];
  readonly counts: IouCounts;
};

/** Meter of `classes` classes, background included where there is one; pixels labelled 255 do not count. */
export function iouMeter(classes: number): IouMeter {
  const none = (): Float64Array => new Float64Array(classes);
  const counts = { tp: none(), fp: none(), fn: none() };
  let best = new Float32Array(0);
  let predicted = new Uint8Array(0);

  function update(batch: Batch): void {
    expectBatch('iouMeter', batch, classes);
    const [images, , height, width] = batch.shape;
    const pixels = height * width;
    if (best.length !== pixels) [best, predicted] = [new Float32Array(pixels), new Uint8Array(pixels)];
    const { tp, fp, fn } = counts;
    for (let image = 0; image < images; image++) {
      classify(batch.logits, image, classes, best, predicted);
      const labels = batch.labels.subarray(image * pixels, (image + 1) * pixels);
      for (let i = 0; i < pixels; i++) {
        const got = predicted[i]!;
        const want = labels[i]!;
        if (want === IGNORE) continue;
        if (got === want) tp[got]!++;
        else {
          fp[got]!++;
          if (want < classes) fn[want]!++;
        }
      }
    }
  }

  function perClass(): number[] {
    const { tp, fp, fn } = counts;
    return Array.from(tp, (hits, c) => hits / Math.max(hits + fp[c]! + fn[c]!, 1e-8));
  }

  const scores = (): { mIoU: number } => ({ mIoU: perClass().reduce((sum, iou) => sum + iou, 0) / classes });
  return { update, scores, perClass, counts };
}
