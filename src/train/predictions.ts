// What a network's raw outputs say, as maps that pictures and files can hold.
import type { Batch } from '../data/loader.ts';
import { linearRows } from '../data/resample.ts';
import type { Field } from '../data/sample.ts';
import type { Task } from '../mtlora/spec.ts';
import type { SheetRow } from './contact_sheet.ts';
import { sigmoid } from './metrics/meter.ts';
import { classMap } from './metrics/postprocess.ts';

type Shape = readonly [number, number, number, number];

/**
 * The map of one image: classes [H, W], probabilities [H, W], unit normals [3, H, W] or metres [H, W].
 *
 * @param logits [C, H, W] of the image
 */
export function predictionMap(
  task: Task, logits: Float32Array, [, channels, height, width]: Shape,
): Float32Array {
  switch (task) {
    case 'semseg':
    case 'human_parts': return Float32Array.from(classMap(logits, [1, channels, height, width]));
    case 'sal':
    case 'edge': return logits.map(sigmoid);
    case 'normals': return unitVectors(logits, height * width);
    case 'depth': return logits;
  }
}

/**
 * The same at another size, to which the raw outputs are brought first.
 *
 * @param logits [h, w, C] of the image
 */
export function predictionAt(task: Task, logits: Field, height: number, width: number): Float32Array {
  const rowAt = linearRows(logits, height, width);
  const { channels } = logits;
  const planes = task === 'normals' ? 3 : 1;
  const map = new Float32Array(planes * height * width);
  const row = new Float32Array(width * channels);
  for (let y = 0; y < height; y++) {
    const pixels = rowAt(y);
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) row[c * width + x] = pixels[x * channels + c]!;
    }
    const part = predictionMap(task, row, [1, channels, 1, width]);
    for (let plane = 0; plane < planes; plane++) {
      map.set(part.subarray(plane * width, (plane + 1) * width), (plane * height + y) * width);
    }
  }
  return map;
}

function unitVectors(vectors: Float32Array, pixels: number): Float32Array {
  const units = new Float32Array(vectors.length);
  for (let at = 0; at < pixels; at++) {
    const [x, y, z] = [vectors[at]!, vectors[at + pixels]!, vectors[at + 2 * pixels]!];
    const length = Math.max(Math.hypot(x, y, z), 1e-12);
    [units[at], units[at + pixels], units[at + 2 * pixels]] = [x / length, y / length, z / length];
  }
  return units;
}

/** Image `at` of a batch as a row of a contact sheet; copies what it needs. */
export function sheetRow(
  batch: Batch, outputs: ReadonlyMap<Task, { logits: Float32Array; shape: Shape }>, at: number,
): SheetRow {
  const count = batch.ids.length;
  const part = <T extends Uint8Array | Float32Array>(values: T): T => {
    const each = values.length / count;
    return values.slice(at * each, (at + 1) * each) as T;
  };
  return {
    size: Math.sqrt(batch.image.length / count / 3),
    image: part(batch.image),
    labels: new Map([...outputs.keys()].map((task) => [task, part(batch.labels[task]!)])),
    predictions: new Map([...outputs].map(([task, { logits, shape }]) =>
      [task, predictionMap(task, part(logits), shape)])),
  };
}
