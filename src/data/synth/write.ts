// A synthetic data set in the layout of the archive PASCAL_MT, so that what reads the real one reads it too.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeJpeg } from '../jpeg.ts';
import type { MatNumeric, MatStruct, MatValue } from '../mat.ts';
import { writeMat } from '../mat_writer.ts';
import { VOC_PALETTE } from '../palette.ts';
import { writeGrayPng, writePalettePng, writeRgbPng } from '../png.ts';
import type { ThingMask } from './labels.ts';
import { drawPicture, type SynthPicture } from './picture.ts';
import { seededRandom } from './random.ts';

export type Split = 'train' | 'val';
/** [height, width] */
type Size = readonly [number, number];

export type SynthOptions = {
  /** Folder to write; it must not hold a data set yet. */
  readonly root: string;
  /** Number of pictures of each split. */
  readonly train: number;
  readonly val: number;
  /** One size for all, or the smallest and largest, between which each picture's is drawn. */
  readonly size: Size | { readonly from: Size; readonly to: Size };
  readonly seed: number;
};

export type SynthProgress = (written: number, total: number) => void;

const FOLDERS = [
  'JPEGImages',
  'ImageSets/Context',
  'ImageSets/Parts',
  'semseg/VOC12',
  'pascal-context/trainval',
  'human_parts',
  'normals_distill',
  'sal_distill',
];
const SPLITS: readonly Split[] = ['train', 'val'];
const SMALLEST_SIDE = 16;

/** The picture number `index` of a split; it depends on nothing but its arguments. */
export function synthPicture(
  split: Split,
  index: number,
  { size, seed }: Pick<SynthOptions, 'size' | 'seed'>,
): SynthPicture {
  const keys = [seed, SPLITS.indexOf(split), index];
  if (!('from' in size)) return drawPicture(size[1], size[0], ...keys);
  const random = seededRandom(...keys);
  const [height, width] = [0, 1].map((axis) => Math.round(random.between(size.from[axis]!, size.to[axis]!)));
  return drawPicture(width!, height!, ...keys);
}

/** Writes pictures `train_000001`…, `val_000001`… with the labels of all five tasks; the lists come last. */
export async function writeSyntheticPascal(options: SynthOptions, onProgress?: SynthProgress): Promise<void> {
  checkOptions(options);
  const { root } = options;
  for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true });
  const total = options.train + options.val;
  let written = 0;
  for (const split of SPLITS) {
    const index = new Map<string, number[]>();
    for (let i = 0; i < options[split]; i++) {
      const id = `${split}_${String(i + 1).padStart(6, '0')}`;
      const picture = synthPicture(split, i, options);
      await writeFiles(root, id, picture);
      index.set(
        id,
        picture.labels.things.map(({ voc }) => voc),
      );
      onProgress?.(++written, total);
    }
    const lines = [...index].map(([id, categories]) => `\t${JSON.stringify(id)}: [${categories.join(', ')}]`);
    writeFileSync(join(root, 'ImageSets/Parts', `${split}.txt`), `{\n${lines.join(',\n')}\n}\n`);
    writeFileSync(
      join(root, 'ImageSets/Context', `${split}.txt`),
      [...index.keys()].map((id) => `${id}\n`).join(''),
    );
  }
}

function checkOptions({ root, train, val, size }: SynthOptions): void {
  for (const [name, count] of [
    ['train', train],
    ['val', val],
  ] as const) {
    if (!Number.isInteger(count) || count < 1)
      throw new Error(`writeSyntheticPascal: ${name} must be a whole number from 1, got ${count}`);
  }
  const sizes = 'from' in size ? [size.from, size.to] : [size];
  for (const side of sizes.flat()) {
    if (!Number.isInteger(side) || side < SMALLEST_SIDE) {
      throw new Error(
        `writeSyntheticPascal: a side must be a whole number from ${SMALLEST_SIDE}, got ${side}`,
      );
    }
  }
  if (existsSync(join(root, 'ImageSets', 'Context', 'train.txt'))) {
    throw new Error(`writeSyntheticPascal: "${root}" holds a data set already, choose another folder`);
  }
}

async function writeFiles(
  root: string,
  id: string,
  { width, height, data, labels }: SynthPicture,
): Promise<void> {
  await writeJpeg(join(root, 'JPEGImages', `${id}.jpg`), { width, height, data }, { quality: 92 });
  writePalettePng(join(root, 'semseg/VOC12', `${id}.png`), {
    width,
    height,
    data: labels.semseg,
    palette: VOC_PALETTE,
  });
  writeRgbPng(join(root, 'normals_distill', `${id}.png`), {
    width,
    height,
    data: levels(labels.normals, 127.5, 127.5),
  });
  writeGrayPng(join(root, 'sal_distill', `${id}.png`), {
    width,
    height,
    data: levels(labels.saliency, 255, 0),
  });
  const columns = byColumns(labels.context, width, height);
  writeMat(join(root, 'pascal-context/trainval', `${id}.mat`), {
    LabelMap: { kind: 'numeric', class: 'uint16', dims: [height, width], data: columns },
  });
  writeMat(join(root, 'human_parts', `${id}.mat`), { anno: annotation(id, labels.things, width, height) });
}

/** round(factor·value + offset) */
function levels(values: Float32Array, factor: number, offset: number): Uint8Array {
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.round(values[i]! * factor + offset);
  return bytes;
}

/** MATLAB stores a matrix column by column. */
function byColumns<T extends Uint8Array | Uint16Array>(map: T, width: number, height: number): T {
  const columns = map.slice() as T;
  for (let x = 0, to = 0; x < width; x++) {
    for (let y = 0; y < height; y++) columns[to++] = map[y * width + x]!;
  }
  return columns;
}

const text = (value: string): MatValue => ({ kind: 'char', dims: [1, value.length], text: value });

function structs(fields: string[], elements: Record<string, MatValue>[]): MatStruct {
  return { kind: 'struct', dims: elements.length ? [1, elements.length] : [0, 0], fields, elements };
}

/** PASCAL-Part's `anno`: the picture's name and its objects, people with their parts. */
function annotation(id: string, things: readonly ThingMask[], width: number, height: number): MatStruct {
  const mask = (values: Uint8Array): MatNumeric => ({
    kind: 'numeric',
    class: 'uint8',
    dims: [height, width],
    data: byColumns(values, width, height),
  });
  const objects = things.map((thing): Record<string, MatValue> => ({
    class: text(thing.name),
    class_ind: { kind: 'numeric', class: 'double', dims: [1, 1], data: Float64Array.of(thing.voc) },
    mask: mask(thing.mask),
    parts: structs(
      ['part_name', 'mask'],
      thing.parts.map((part) => ({ part_name: text(part.name), mask: mask(part.mask) })),
    ),
  }));
  return structs(
    ['imname', 'objects'],
    [{ imname: text(id), objects: structs(['class', 'class_ind', 'mask', 'parts'], objects) }],
  );
}
