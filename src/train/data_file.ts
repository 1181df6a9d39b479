// The file that describes a data set of one's own: where its images and labels lie and what they mean.
import { dirname, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import type { ClassLabels, FolderLayout } from '../data/folder.ts';
import { HUMAN_PARTS_CLASSES } from '../data/pascal_classes.ts';
import { leadsOut } from '../data/split.ts';
import { leaf, number, numbers, optional, text, whole } from './config_fields.ts';
import { describeIssues } from './config_issues.ts';
import { readYamlLayers } from './config_source.ts';

const MAX_CLASSES = 255;
const PARTS: string[] = [...HUMAN_PARTS_CLASSES];

const inside = () => leaf('a path inside the root, without ".."', (value) =>
  typeof value === 'string' && value !== '' && !leadsOut(value) ? value : undefined);

/** The names of the classes; of a number of classes these are numbers. */
const CLASSES = `a number of classes from 2 to ${MAX_CLASSES}, or a list of their names`;
const classes = () => leaf(CLASSES, (value) => {
  const count = whole(2).safeParse(value);
  const names = count.success && count.data <= MAX_CLASSES
    ? Array.from({ length: count.data }, (_, i) => String(i)) : value;
  const fits = Array.isArray(names) && names.length >= 2 && names.length <= MAX_CLASSES;
  return fits ? names.map(String) : undefined;
});

const grey = () => number({ min: 0, max: 65_535, integer: true });
/** A number or a list of such. */
const ignored = () => leaf('a number from 0 on, or a list of such', (value) => {
  const one = grey().safeParse(value);
  const many = one.success ? [one.data] : numbers({ min: 0, integer: true }).safeParse(value).data;
  return many;
}).default([255]);

const labels = { folder: inside(), first: whole(0).default(0), ignore: ignored() };
const mask = () => z.strictObject({ folder: inside(), threshold: grey().default(128) }).optional();

const share = number({ above: 0, max: 0.9 });
const SPLIT = 'a list inside the root, or for "val" alone a share above 0 and of at most 0.9';
const split = leaf(SPLIT, (value) => {
  const isNumber = number().safeParse(value).success;
  return isNumber ? share.safeParse(value).data : inside().safeParse(value).data;
});

const SCHEMA = z.strictObject({
  root: text().default('.'),
  images: inside(),
  tasks: z.strictObject({
    semseg: z.strictObject({ ...labels, classes: classes() }).optional(),
    human_parts: z.strictObject({ ...labels, classes: classes().default(PARTS) }).optional(),
    sal: mask(),
    edge: mask(),
    normals: z.strictObject({ folder: inside() }).optional(),
    depth: z.strictObject({
      folder: inside(),
      scale: optional(number({ above: 0 }), 'a number above 0, metres for a unit of the files').default(null),
    }).optional(),
  }),
  splits: z.record(z.string(), split),
});

/** Reads such a file; throws one error that lists every problem with its place. */
export function readDataFile(path: string): FolderLayout {
  const layer = readYamlLayers(path, '--data: ');
  const parsed = SCHEMA.safeParse(layer.values);
  const fail = (lines: readonly string[]): never => {
    throw new Error(lines.map((line) => (line.startsWith(path) ? line : `${path} ${line}`)).join('\n'));
  };
  if (!parsed.success) return fail(describeIssues(parsed.error.issues, layer, SCHEMA));
  const { root, images, tasks, splits } = parsed.data;
  const given = Object.entries(tasks).filter(([, task]) => task !== undefined);
  if (given.length === 0) return fail(['tasks: must describe at least one task, got none']);
  const place = (field: string): string => `${layer.places.get(field)?.value ?? path} ${field}`;
  return {
    root: isAbsolute(root) ? root : join(dirname(path), root),
    images,
    // in the order of the file
    tasks: Object.fromEntries(Object.keys(layer.values.tasks as object)
      .map((task) => [task, settled(tasks[task as keyof typeof tasks]!)])) as FolderLayout['tasks'],
    splits: splitsOf(splits, (says) => fail([`${place('splits')}: ${says}`])),
  };
}

type Classes = { folder: string; first: number; ignore: number[]; classes: string[] };

function settled<T extends object>(task: T | Classes): T | ClassLabels {
  if (!('classes' in task)) return task;
  const { classes: names, folder, first, ignore } = task;
  return { names, folder, first, ignore };
}

function splitsOf(
  given: Readonly<Record<string, string | number>>, fail: (says: string) => never,
): FolderLayout['splits'] {
  const entries = Object.entries(given);
  const numeric = entries.filter(([, value]) => typeof value === 'number');
  if (numeric.length === 0) {
    const missing = ['train', 'val'].find((name) => !(name in given));
    if (missing !== undefined) return fail(`must have lists "train" and "val", "${missing}" is missing`);
    return { lists: given as Readonly<Record<string, string>> };
  }
  const [[name, value]] = entries as [[string, number]];
  if (entries.length > 1 || name !== 'val') {
    return fail('a share of the images must stand alone, as "val": the other images are for training');
  }
  return { validation: value };
}
