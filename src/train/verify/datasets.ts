import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { listNyud, readNyud } from '../../data/nyud.ts';
import { listPascal, readPascal } from '../../data/pascal.ts';
import { NORMALS_CLASSES } from '../../data/pascal_classes.ts';
import type { DataTask, Sample } from '../../data/sample.ts';
import { normaliseLevels, prepare, writeImage, writeLabel } from '../../data/transforms.ts';
import { parseCase, readGolden, readJson, type Golden } from './golden.ts';
import { compareElements, compareList, failure, type Check } from './report.ts';
import { checkElement } from './transforms.ts';

/**
 * Grey levels by which JPEG decoders differ, with colours at full and at half size; mean error after
 * resizing.
 */
const JPEG = { full: 2, half: 6, mean: 0.02 };

const FACTS = z.strictObject({
  size: z.int().positive(),
  ids: z.array(z.string()).optional(),
  split: z.record(z.string(), z.array(z.string())).optional(),
  specs: z.array(z.looseObject({
    id: z.string(), jpeg: z.looseObject({ subsampling: z.int().optional() }).optional(),
  })).default([]),
  meta: z.record(z.string(), z.looseObject({ im_size: z.tuple([z.int(), z.int()]) })).default({}),
  validNormalClasses: z.array(z.int()).optional(),
  dtypes: z.unknown().optional(),
});
type Facts = z.infer<typeof FACTS>;
type Layout = {
  readonly list: (root: string, split: string, tasks: readonly DataTask[]) => readonly string[];
  readonly read: (root: string, id: string, tasks: readonly DataTask[]) => Promise<Sample>;
};

function layoutOf(root: string): Layout | null {
  if (existsSync(join(root, 'JPEGImages'))) return { list: listPascal as Layout['list'], read: readPascal };
  return existsSync(join(root, 'gt_sets')) ? { list: listNyud as Layout['list'], read: readNyud } : null;
}

/** Whether `<folder>/<name>` is a data set with what was recorded of it beside it. */
export function isDataset(folder: string, name: string): boolean {
  return layoutOf(join(folder, name)) !== null && existsSync(join(folder, `${name}.safetensors`));
}

/** Holds the reading of a data set, and the validation chain on it, to `<name>.safetensors`. */
export async function verifyDataset(folder: string, name: string): Promise<Check[]> {
  const path = join(folder, `${name}.json`);
  const facts = parseCase(FACTS, readJson(path), path);
  const golden = readGolden(folder, name);
  const root = join(folder, name);
  const layout = layoutOf(root)!;
  const ids = [...new Set(golden.names.map((each) => each.replace(/\.[^.]+\.[^.]+$/, '')))];
  const checks = checkFacts(name, facts);
  for (const id of ids) {
    try {
      checks.push(...await verifyImage({ name, root, id, facts, golden, layout }));
    } catch (error) {
      checks.push(failure(`${name} ${id} is read`, error));
    }
  }
  return [...checks, ...checkSplits(name, root, layout, facts, tasksOf(golden, ids[0]!))];
}

type Image = {
  readonly name: string; readonly root: string; readonly id: string; readonly facts: Facts;
  readonly golden: Golden; readonly layout: Layout;
};

async function verifyImage({ name, root, id, facts, golden, layout }: Image): Promise<Check[]> {
  const sample = await layout.read(root, id, tasksOf(golden, id));
  const prepared = prepare(sample, facts.size);
  const meta = facts.meta[id];
  return [
    ...meta ? [compareList(`${name} ${id} size`, sample.size, meta.im_size)] : [],
    ...golden.below(`${id}.raw.`).map((element) => {
      const [label, want] = [`${name} ${id}.raw.${element}`, golden.values(`${id}.raw.${element}`)];
      if (element !== 'image') {
        return checkElement(label, element, sample.labels.get(element as DataTask)!.data, want);
      }
      const full = facts.specs.find((spec) => spec.id === id)?.jpeg?.subsampling === 0;
      const bound = full ? JPEG.full : JPEG.half;
      return compareElements(label, sample.image.data, want, { bound, share: 1, limit: bound });
    }),
    ...golden.below(`${id}.val${facts.size}.`).map((element) => {
      const stored = `${id}.val${facts.size}.${element}`;
      const want = golden.values(stored);
      if (element === 'image') {
        const levels = new Uint8Array(want.length);
        writeImage(prepared.image, levels, 'wrap');
        return compareMean(`${name} ${stored}`, normaliseLevels(levels), want);
      }
      const got = new Float32Array(want.length);
      writeLabel(prepared.labels.get(element as DataTask)!, got);
      return checkElement(`${name} ${stored}`, element, got, want);
    }),
  ];
}

function compareMean(name: string, got: Float32Array, want: Float32Array): Check {
  const mean = want.reduce((sum, value, i) => sum + Math.abs(value - got[i]!), 0) / want.length;
  const pass = mean <= JPEG.mean;
  return { name, maxAbs: mean, error: mean, bound: JPEG.mean, pass, rule: 'mean absolute error' };
}

function tasksOf(golden: Golden, id: string): DataTask[] {
  return golden.below(`${id}.raw.`).filter((element) => element !== 'image') as DataTask[];
}

function checkFacts(name: string, { validNormalClasses }: Facts): Check[] {
  if (!validNormalClasses) return [];
  const sorted = (classes: Iterable<number>): number[] => [...classes].sort((a, b) => a - b);
  return [compareList(`${name} classes with normals`, sorted(NORMALS_CLASSES), sorted(validNormalClasses))];
}

function checkSplits(
  name: string, root: string, { list }: Layout, { split, ids }: Facts, tasks: DataTask[],
): Check[] {
  if (split) {
    return Object.entries(split).map(([part, want]) =>
      compareList(`${name} split ${part}`, list(root, part, tasks), want));
  }
  if (!ids) return [];
  const listed = new Set(['train', 'val'].flatMap((part) => list(root, part, tasks)));
  return [compareList(`${name} ids`, [...listed].sort(), ids.toSorted())];
}
