// A batch lies in one shared buffer: the images [B, 3, S, S], then each task's labels [B, C, S, S]. Grey
// levels, classes and masks are bytes; normals and depth are interpolated or measured, and stay f32.
import { readSample } from './dataset.ts';
import type { DatasetSpec } from './dataset.ts';
import { sampleUniforms } from './order.ts';
import { channelsOf, fitsBytes } from './sample.ts';
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

type Name = DataTask | 'image';

/** What a part of a batch is made of. */
function itemsOf(name: Name): typeof Uint8Array | typeof Float32Array {
  return name === 'image' || fitsBytes(name) ? Uint8Array : Float32Array;
}

/** At which byte each part of a batch buffer starts, how many values a sample has there, where all ends. */
function layout(
  { size, batchSize }: Shape, tasks: readonly DataTask[],
): { parts: Map<Name, { at: number; each: number }>; end: number } {
  let end = 0;
  const parts = new Map((['image', ...tasks] as const).map((name) => {
    const each = (name === 'image' ? 3 : channelsOf(name)) * size * size;
    const part = { at: end, each };
    const bytes = itemsOf(name).BYTES_PER_ELEMENT * batchSize * each;
    end += Math.ceil(bytes / 4) * 4;            // where f32 may start
    return [name, part];
  }));
  return { parts, end };
}

export function slotBytes(shape: Shape, tasks: readonly DataTask[]): number {
  return layout(shape, tasks).end;
}

/** The part `name` of places `first` to `first + count` of a batch buffer. */
export function slotView(
  slot: SharedArrayBuffer, shape: Shape, tasks: readonly DataTask[],
  name: Name, first: number, count: number,
): Uint8Array | Float32Array {
  const { at, each } = layout(shape, tasks).parts.get(name)!;
  const Items = itemsOf(name);
  const start = at + Items.BYTES_PER_ELEMENT * first * each;
  return Items === Uint8Array
    ? new Uint8Array(slot, start, count * each) : new Float32Array(slot, start, count * each);
}

/** Reads, transforms and stores a sample; returns the size that its image has on disk. */
export async function decodeInto(decoding: Decoding, job: Job): Promise<ImageSize> {
  const { slot, position, index, epoch } = job;
  const { dataset, ids, train, seed, size, overshoot, warpFill } = decoding;
  const sample = await readSample(dataset, ids[index]!);
  const uniforms = sampleUniforms(seed, epoch, index);
  const augmentation = train ? drawAugmentation(dataset.kind, uniforms) : undefined;
  const { image, labels } = prepare(sample, size, augmentation, warpFill);
  const place = (name: Name): Uint8Array | Float32Array =>
    slotView(decoding.slots[slot]!, decoding, dataset.tasks, name, position, 1);
  writeImage(image, place('image') as Uint8Array, overshoot);
  for (const [task, label] of labels) writeLabel(label, place(task));
  return sample.size;
}
