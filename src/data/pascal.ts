// PASCAL-Context for multi-task learning, in the layout of the archive PASCAL_MT.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { decoding, FileError } from './file.ts';
import { readHumanParts, readPartsIndex } from './human_parts.ts';
import { readJpeg } from './jpeg.ts';
import { readMat } from './mat.ts';
import { NORMALS_CLASSES, PASCAL_SEMSEG_CLASSES, PERSON } from './pascal_classes.ts';
import { readLabelPng, readRgbPng } from './png.ts';
import { resizeCubic, resizeNearest } from './resample.ts';
import { IGNORE, makeField } from './sample.ts';
import type { DataTask, Field, Sample } from './sample.ts';
import { expectFiles, readIds, type NeededFile, type OnBadSample } from './split.ts';
import { classEdges, thin } from './thinning.ts';

export const PASCAL_TASKS = ['semseg', 'human_parts', 'sal', 'normals', 'edge'] as const satisfies DataTask[];

const FILES: Record<string, (id: string) => string[]> = {
  image: (id) => [`JPEGImages/${id}.jpg`],
  semseg: (id) => [`semseg/VOC12/${id}.png`, `semseg/pascal-context/${id}.png`],
  human_parts: (id) => [`human_parts/${id}.mat`],
  sal: (id) => [`sal_distill/${id}.png`],
  normals: (id) => [`normals_distill/${id}.png`],
  edge: (id) => [`pascal-context/trainval/${id}.mat`],
};

export function pascalIds(root: string, split: string): string[] {
  return readIds(join(root, 'ImageSets', 'Context', `${split}.txt`));
}

export function pascalFiles(tasks: readonly DataTask[]): NeededFile[] {
  const files = (['image', ...tasks] as const).map((task) => ({ task, paths: FILES[task]! }));
  // Where the classes of a picture tell which of its normals count, both tasks need them.
  return tasks.includes('normals') ? [...files, { task: 'normals', paths: FILES['edge']! }] : files;
}

/** The ids of `split`, after seeing that all files of `tasks` are there, unless bad ones are skipped. */
export function listPascal(
  root: string, split: string, tasks: readonly DataTask[], onBadSample: OnBadSample = 'error',
): string[] {
  const ids = pascalIds(root, split);
  if (onBadSample === 'error') expectFiles(root, ids, pascalFiles(tasks));
  if (!tasks.includes('human_parts')) return ids;
  const index = readPartsIndex(root, split, ids, onBadSample);
  // Parts alone, without another task: images without people have nothing to teach.
  return tasks.length > 1 ? ids : ids.filter((id) => index.get(id)!.includes(PERSON));
}

/** Reads the image and the labels of `tasks`, each at the image's size. */
export async function readPascal(root: string, id: string, tasks: readonly DataTask[]): Promise<Sample> {
  const image = await readPascalImage(root, id);
  const { width, height } = image;
  const classes = tasks.includes('edge') || tasks.includes('normals') ? readClasses(root, id) : null;
  const labels = new Map<DataTask, Field>();
  for (const task of tasks) {
    const label = readLabel(root, id, task, classes) ?? makeField(1, 1, [0]);
    const resize = task === 'normals' ? resizeCubic : resizeNearest;
    labels.set(task, resize(label, height, width));
  }
  return { id, size: [height, width], image, labels };
}

export async function readPascalImage(root: string, id: string): Promise<Field> {
  const { width, height, data } = await readJpeg(join(root, FILES['image']!(id)[0]!));
  return makeField(height, width, data);
}

/** A label at the size of its file, or null where the image has none of the kind. */
export function readPascalLabel(root: string, id: string, task: DataTask): Field | null {
  return readLabel(root, id, task, task === 'edge' || task === 'normals' ? readClasses(root, id) : null);
}

function readLabel(root: string, id: string, task: DataTask, classes: Field | null): Field | null {
  const candidates = FILES[task]!(id).map((path) => join(root, path));
  const path = candidates.find((candidate) => existsSync(candidate)) ?? candidates[0]!;
  switch (task) {
    case 'semseg': return readSemseg(path);
    case 'human_parts': return readHumanParts(root, id);
    case 'sal': return readSaliency(path);
    case 'normals': return readNormals(path, classes!);
    case 'edge': {
      const { height, width, data } = classes!;
      return makeField(height, width, thin(classEdges(data, height, width), height, width));
    }
    case 'depth': throw new Error('PASCAL has no task "depth"');
  }
}

function readSemseg(path: string): Field {
  const { width, height, data } = readLabelPng(path);
  const last = PASCAL_SEMSEG_CLASSES.length - 1;
  const wrong = data.find((index) => index > last && index !== IGNORE);
  if (wrong !== undefined) {
    throw new FileError(path, `a class must be 0 to ${last} or ${IGNORE}, got ${wrong}`);
  }
  return makeField(height, width, data);
}

function readSaliency(path: string): Field {
  const { width, height, data } = readLabelPng(path);
  return makeField(height, width, data.map((grey) => (grey / 255 > 0.5 ? 1 : 0)));
}

/** Eight bits a component for −1..1; (0, 0, 0) where the class has no normals. */
function readNormals(path: string, classes: Field): Field {
  const { width, height, data } = readRgbPng(path);
  if (width !== classes.width || height !== classes.height) {
    const wanted = `${classes.width}x${classes.height}`;
    throw new FileError(path, `it must be ${wanted} as its map of classes, got ${width}x${height}`);
  }
  const normals = new Float32Array(data.length);
  for (let pixel = 0; pixel < width * height; pixel++) {
    if (!NORMALS_CLASSES.has(classes.data[pixel]!)) continue;
    for (let i = 3 * pixel; i < 3 * pixel + 3; i++) normals[i] = (2 * data[i]!) / 255 - 1;
  }
  return makeField(height, width, normals);
}

/** PASCAL-Context's map of 459 classes. */
function readClasses(root: string, id: string): Field {
  const path = join(root, FILES['edge']!(id)[0]!);
  const map = readMat(path)['LabelMap'];
  return decoding(path, () => {
    if (map?.kind !== 'numeric' || map.dims.length !== 2) throw new Error('it has no matrix "LabelMap"');
    const [height, width] = map.dims as [number, number];
    const data = new Float32Array(height * width);
    for (let x = 0; x < width; x++) {
      for (let y = 0; y < height; y++) data[y * width + x] = map.data[x * height + y]!;
    }
    return makeField(height, width, data);
  });
}
