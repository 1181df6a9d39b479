// NYU depth v2 for multi-task learning, in the layout of the archive NYUD_MT.
import { join } from 'node:path';
import { FileError } from './file.ts';
import { readJpeg } from './jpeg.ts';
import { readNpy } from './npy.ts';
import { readLabelPng } from './png.ts';
import { resizeCubic, resizeNearest } from './resample.ts';
import { channelsOf, IGNORE, makeField } from './sample.ts';
import type { DataTask, Field, Sample } from './sample.ts';
import { expectFiles, readIds, type NeededFile } from './split.ts';

export const NYUD_TASKS = ['semseg', 'normals', 'edge', 'depth'] as const satisfies DataTask[];
export const NYUD_SEMSEG_CLASSES = [
  'wall', 'floor', 'cabinet', 'bed', 'chair', 'sofa', 'table', 'door', 'window', 'bookshelf', 'picture',
  'counter', 'blinds', 'desk', 'shelves', 'curtain', 'dresser', 'pillow', 'mirror', 'floor mat', 'clothes',
  'ceiling', 'books', 'refrigerator', 'television', 'paper', 'towel', 'shower curtain', 'box', 'whiteboard',
  'person', 'night stand', 'toilet', 'sink', 'lamp', 'bathtub', 'bag', 'otherstructure', 'otherfurniture',
  'otherprop',
] as const;

const FILES: Record<string, (id: string) => string> = {
  image: (id) => `images/${id}.jpg`,
  semseg: (id) => `segmentation/${id}.png`,
  normals: (id) => `normals/${id}.npy`,
  edge: (id) => `edge/${id}.npy`,
  depth: (id) => `depth/${id}.npy`,
};

export function nyudIds(root: string, split: string): string[] {
  return readIds(join(root, 'gt_sets', `${split}.txt`));
}

export function nyudFiles(tasks: readonly DataTask[]): NeededFile[] {
  return (['image', ...tasks] as const).map((task) => ({ task, paths: (id: string) => [FILES[task]!(id)] }));
}

/** The ids of `split`, after seeing that every file is there that `tasks` need. */
export function listNyud(root: string, split: string, tasks: readonly DataTask[]): string[] {
  const ids = nyudIds(root, split);
  expectFiles(root, ids, nyudFiles(tasks));
  return ids;
}

/** Reads the image and the labels of `tasks`, each at the image's size. */
export async function readNyud(root: string, id: string, tasks: readonly DataTask[]): Promise<Sample> {
  const image = await readNyudImage(root, id);
  const { width, height } = image;
  const labels = new Map(tasks.map((task) => {
    const resize = task === 'normals' ? resizeCubic : resizeNearest;
    return [task, resize(readNyudLabel(root, id, task), height, width)] as const;
  }));
  return { id, size: [height, width], image, labels };
}

export async function readNyudImage(root: string, id: string): Promise<Field> {
  const { width, height, data } = await readJpeg(join(root, FILES['image']!(id)));
  return makeField(height, width, data);
}

/** A label at the size of its file. */
export function readNyudLabel(root: string, id: string, task: DataTask): Field {
  const path = join(root, FILES[task]!(id));
  if (task === 'semseg') return readSemseg(path);
  const field = readArray(path, channelsOf(task));
  const wrong = field.data.find((value) => !Number.isFinite(value));
  if (wrong !== undefined) throw new FileError(path, `its numbers must be finite, got ${wrong}`);
  // an edge from ½ on, as losses and scores have it
  return task === 'edge' ? { ...field, data: field.data.map((value) => Number(value >= 0.5)) } : field;
}

/** The file counts classes from 1, and 0 is unlabelled. */
function readSemseg(path: string): Field {
  const { width, height, data } = readLabelPng(path);
  const last = NYUD_SEMSEG_CLASSES.length;
  const wrong = data.find((value) => value > last);
  if (wrong !== undefined) throw new FileError(path, `a class must be 0 to ${last}, got ${wrong}`);
  return makeField(height, width, data.map((value) => (value === 0 ? IGNORE : value - 1)));
}

export function readArray(path: string, channels: number): Field {
  const { shape, data } = readNpy(path);
  const [height, width, depth = 1] = shape;
  if (!height || !width || shape.length !== (channels === 1 ? 2 : 3) || depth !== channels) {
    const wanted = channels === 1 ? '[H, W]' : `[H, W, ${channels}]`;
    throw new FileError(path, `it must be ${wanted}, got [${shape.join(', ')}]`);
  }
  if (data instanceof BigInt64Array) return makeField(height, width, Float32Array.from(data, Number));
  return makeField(height, width, data);
}
