// A data set of one's own: a folder of images, and one folder of label maps a task under the same names.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { decoding, FileError } from './file.ts';
import { readPicture } from './jpeg.ts';
import { readArray } from './nyud.ts';
import { readLabelPng, readRgbPng } from './png.ts';
import { IGNORE, makeField } from './sample.ts';
import type { DataTask, Field } from './sample.ts';
import { readIds, type NeededFile } from './split.ts';

/** Classes count from `first` in the files, from 0 on here; `ignore` are numbers that mean no label. */
export type ClassLabels = {
  readonly folder: string;
  readonly names: readonly string[];
  readonly first: number;
  readonly ignore: readonly number[];
};
/** Grey levels from `threshold` on belong to the object or edge. */
type MaskLabels = { readonly folder: string; readonly threshold: number };
/** `scale` turns the files' unit into metres; null is 1 for .npy and a thousandth for PNG. */
type DepthLabels = { readonly folder: string; readonly scale: number | null };

export type FolderLayout = {
  readonly root: string;
  readonly images: string;
  readonly tasks: {
    readonly semseg?: ClassLabels; readonly human_parts?: ClassLabels;
    readonly sal?: MaskLabels; readonly edge?: MaskLabels;
    readonly normals?: { readonly folder: string };
    readonly depth?: DepthLabels;
  };
  /** Lists of ids by the name of the split, or the share of the images that is kept for validation. */
  readonly splits: { readonly lists: Readonly<Record<string, string>> } | { readonly validation: number };
};

const IMAGES = ['.jpg', '.jpeg', '.png', '.JPG'];
const LABELS: Readonly<Record<DataTask, readonly string[]>> = {
  semseg: ['.png'], human_parts: ['.png'], sal: ['.png'], edge: ['.png'],
  normals: ['.png', '.npy'], depth: ['.npy', '.png'],
};
const MILLIMETRE = 1e-3;

export function folderTasks({ tasks }: FolderLayout): DataTask[] {
  return Object.keys(tasks) as DataTask[];
}

/** The ids of a split: paths below the folder of images, without endings. */
export function folderIds(layout: FolderLayout, split: string): string[] {
  const { root, splits } = layout;
  if ('lists' in splits) {
    const list = splits.lists[split];
    if (list === undefined) {
      const known = Object.keys(splits.lists).join(', ');
      throw new Error(`dataset "folder": the split must be of ${known}, got "${split}"`);
    }
    return readIds(join(root, list)).map(withoutEnding);
  }
  if (split !== 'train' && split !== 'val') {
    throw new Error(`dataset "folder": the split must be train or val, got "${split}"`);
  }
  const ids = allImages(layout);
  // Ordered by a digest of their names: another image changes little of who is where.
  const shuffled = ids.map((id) => [createHash('sha1').update(id).digest('hex'), id] as const).toSorted();
  const count = Math.max(1, Math.round(splits.validation * ids.length));
  const kept = new Set(shuffled.slice(0, count).map(([, id]) => id));
  return ids.filter((id) => kept.has(id) === (split === 'val'));
}

function withoutEnding(id: string): string {
  const ending = extname(id);
  return IMAGES.includes(ending) ? id.slice(0, -ending.length) : id;
}

function allImages({ root, images }: FolderLayout): string[] {
  const folder = join(root, images);
  const entries = decoding(folder, () => readdirSync(folder, { recursive: true, withFileTypes: true }));
  const files = entries.filter((entry) => !entry.isDirectory() && IMAGES.includes(extname(entry.name)))
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)).replaceAll('\\', '/')).toSorted();
  const ids = files.map(withoutEnding);
  const twice = files.find((_, i) => ids.indexOf(ids[i]!) < i);
  if (twice !== undefined) {
    throw new FileError(join(folder, twice), 'another image has the same name with another ending');
  }
  if (ids.length < 2) throw new FileError(folder, `it must hold at least two images, got ${ids.length}`);
  return ids;
}

export function folderFiles(layout: FolderLayout, tasks: readonly DataTask[]): NeededFile[] {
  return [
    { task: 'image', paths: (id) => IMAGES.map((ending) => join(layout.images, id + ending)) },
    ...tasks.map((task) => ({ task, paths: (id: string) => labelPaths(layout, id, task) })),
  ];
}

function labelPaths({ tasks }: FolderLayout, id: string, task: DataTask): string[] {
  return LABELS[task].map((ending) => join(tasks[task]!.folder, id + ending));
}

export async function readFolderImage(layout: FolderLayout, id: string): Promise<Field> {
  const [image] = folderFiles(layout, []);
  const { height, width, data } = await readPicture(present(layout, image!.paths(id)));
  return makeField(height, width, data);
}

/** A label at the size of its file. */
export function readFolderLabel(layout: FolderLayout, id: string, task: DataTask): Field {
  const path = present(layout, labelPaths(layout, id, task));
  switch (task) {
    case 'semseg':
    case 'human_parts': return readClasses(path, layout.tasks[task]!);
    case 'sal':
    case 'edge': return readMask(path, layout.tasks[task]!);
    case 'normals': return readNormals(path);
    case 'depth': return readDepth(path, layout.tasks.depth!);
  }
}

/** The first of the paths that is there, or the first of all, whose reader then says that it is not. */
function present({ root }: FolderLayout, paths: readonly string[]): string {
  const whole = paths.map((path) => join(root, path));
  return whole.find((path) => existsSync(path)) ?? whole[0]!;
}

function readClasses(path: string, { names, first, ignore }: ClassLabels): Field {
  const { width, height, data } = readLabelPng(path);
  const last = first + names.length - 1;
  const classes = new Float32Array(data).map((value) => {
    if (ignore.includes(value)) return IGNORE;
    if (value >= first && value <= last) return value - first;
    const ignored = ignore.map((number) => ` or ${number}`).join('');
    throw new FileError(path, `a class must be ${first} to ${last}${ignored}, got ${value}`);
  });
  return makeField(height, width, classes);
}

function readMask(path: string, { threshold }: MaskLabels): Field {
  const { width, height, data } = readLabelPng(path);
  return makeField(height, width, new Float32Array(data).map((grey) => (grey >= threshold ? 1 : 0)));
}

/** Eight bits a component for −1..1, or the numbers themselves; what is far from length 1 is no normal. */
function readNormals(path: string): Field {
  const field = extname(path) === '.npy' ? readArray(path, 3) : normalsOfPicture(path);
  const data = field.data.slice();
  for (let i = 0; i < data.length; i += 3) {
    const squared = data[i]! ** 2 + data[i + 1]! ** 2 + data[i + 2]! ** 2;
    if (!(squared > 0.25 && squared < 2.25)) data.fill(0, i, i + 3);
  }
  return { ...field, data };
}

function normalsOfPicture(path: string): Field {
  const { width, height, data } = readRgbPng(path);
  return makeField(height, width, new Float32Array(data).map((value) => (2 * value) / 255 - 1));
}

/** Metres; 0 where nothing was measured, which files also say by NaN or infinity. */
function readDepth(path: string, { scale }: DepthLabels): Field {
  const isArray = extname(path) === '.npy';
  const { height, width, data } = isArray ? readArray(path, 1) : readLabelPng(path);
  const factor = scale ?? (isArray ? 1 : MILLIMETRE);
  const metres = new Float32Array(data as ArrayLike<number>).map((value) => {
    if (value < 0) throw new FileError(path, `a depth must be 0 or more, got ${value}`);
    return Number.isFinite(value) ? value * factor : 0;
  });
  return makeField(height, width, metres);
}
