// A batch lies in one shared buffer: the images [B, 3, S, S], then each task's labels [B, C, S, S], all f32.
import { readSample } from './dataset.ts';
import type { DatasetSpec } from './dataset.ts';
import { sampleUniforms } from './order.ts';
import { channelsOf } from './sample.ts';
import type { DataTask } from './sample.ts';
import { drawAugmentation, prepare, writeImage, writeLabel } from './transforms.ts';
import type { Overshoot, WarpFill } from './transforms.ts';

/** What decoding a sample depends on, besides its number; workers get it once. */
export type Decoding = {
  readonly dataset: DatasetSpec;
  readonly ids: readonly string[];
  readonly size: number;
  readonly batchSize: number;
  readonly train: boolean;
  readonly seed: number;
  readonly overshoot: Overshoot;
  readonly warpFill: WarpFill;
  readonly slots: readonly SharedArrayBuffer[];
};
/** Decode sample `index` to place `position` of batch buffer `slot`. */
export type Job = {
  readonly slot: number; readonly position: number; readonly index: number; readonly epoch: number;
};
export type ImageSize = readonly [height: number, width: number];

type Shape = Pick<Decoding, 'size' | 'batchSize'>;

/** Where each part of a batch buffer starts and how many values a sample has there. */
function layout(
  { size, batchSize }: Shape, tasks: readonly DataTask[],
): Map<DataTask | 'image', { at: number; each: number }> {
  let at = 0;
  return new Map((['image', ...tasks] as const).map((name) => {
    const each = (name === 'image' ? 3 : channelsOf(name)) * size * size;
    const part = { at, each };
    at += batchSize * each;
    return [name, part];
  }));
}

export function slotBytes(shape: Shape, tasks: readonly DataTask[]): number {
  const values = [...layout(shape, tasks).values()].reduce((sum, { each }) => sum + each, 0);
  return Float32Array.BYTES_PER_ELEMENT * shape.batchSize * values;
}

/** The part `name` of places `first` to `first + count` of a batch buffer. */
export function slotView(
  slot: SharedArrayBuffer, shape: Shape, tasks: readonly DataTask[],
  name: DataTask | 'image', first: number, count: number,
): Float32Array {
  const { at, each } = layout(shape, tasks).get(name)!;
  return new Float32Array(slot, Float32Array.BYTES_PER_ELEMENT * (at + first * each), count * each);
}

/** Reads, transforms and stores a sample; returns the size that its image has on disk. */
export async function decodeInto(decoding: Decoding, job: Job): Promise<ImageSize> {
  const { slot, position, index, epoch } = job;
  const { dataset, ids, train, seed, size, overshoot, warpFill } = decoding;
  const sample = await readSample(dataset, ids[index]!);
  const uniforms = sampleUniforms(seed, epoch, index);
  const augmentation = train ? drawAugmentation(dataset.kind, uniforms) : undefined;
  const { image, labels } = prepare(sample, size, augmentation, warpFill);
  const place = (name: DataTask | 'image'): Float32Array =>
    slotView(decoding.slots[slot]!, decoding, dataset.tasks, name, position, 1);
  writeImage(image, place('image'), overshoot);
  for (const [task, label] of labels) writeLabel(label, place(task));
  return sample.size;
}
