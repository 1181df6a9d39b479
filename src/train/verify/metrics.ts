import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { TASKS, type Task } from '../../mtlora/spec.ts';
import { createMeter, deltaM, TASK_SCORES, type Batch, type Scores } from '../metrics/index.ts';
import { iouMeter } from '../metrics/iou.ts';
import { classMap, normalMap, probabilityMap } from '../metrics/postprocess.ts';
import { eachCase, eachOf, readGolden, type Golden } from './golden.ts';
import { compare, compareList, compareNumber, failure, type Check } from './report.ts';

/** What the README of these files allows: relative errors, those of angles included; counts are exact. */
const BOUNDS = { score: 1e-6, angle: 2e-6, picture: 1e-6, deltaM: 1e-9 };

const TASK = z.enum(TASKS);
const number = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity'])]).transform(Number);
const SCORES = z.partialRecord(TASK, z.record(z.string(), z.union([number, z.array(number)])));

const METRIC_CASE = z.strictObject({
  name: z.string(),
  tasks: z.array(TASK),
  batches: z.array(z.int().positive()),
  scores: SCORES,
  // the counters inside the release's meters; of them those of classes are counted alike here
  details: z.partialRecord(TASK, z.looseObject({
    tp: z.array(z.number()).optional(), fp: z.array(z.number()).optional(),
    fn: z.array(z.number()).optional(),
  })),
  // how the file's tensors were drawn
  database: z.string(), h: z.int(), w: z.int(), good: z.unknown().optional(),
  emptySal: z.unknown().optional(),
});
type MetricCase = z.infer<typeof METRIC_CASE>;

const DELTA_CASE = z.strictObject({ tasks: z.array(TASK), multi: SCORES, single: SCORES, value: z.number() });

/** Holds the meters, the pictures made of outputs, and Δm to the cases of a folder. */
export async function verifyMetrics(folder: string): Promise<Check[]> {
  const cases = existsSync(join(folder, 'cases.json'))
    ? await eachCase(folder, METRIC_CASE, (given) => {
      const golden = readGolden(folder, given.name);
      return given.tasks.flatMap((task) => verifyTask(given, task, golden));
    }) : [];
  const path = join(folder, 'delta_m.json');
  return existsSync(path) ? [...cases, ...await eachOf(path, DELTA_CASE, verifyDelta)] : cases;
}

export function isMetricCase(value: object): boolean {
  return ('scores' in value && 'batches' in value) || ('multi' in value && 'single' in value);
}

function verifyTask(given: MetricCase, task: Task, golden: Golden): Check[] {
  const batches = given.batches.map((_, j): Batch => ({
    logits: golden.values(`b${j}.logits.${task}`), labels: golden.values(`b${j}.label.${task}`),
    shape: golden.shape(`b${j}.logits.${task}`) as Batch['shape'],
  }));
  return [
    ...checkScores(given, task, batches),
    ...task === 'semseg' || task === 'human_parts' ? checkClasses(given, task, batches) : [],
    ...batches.flatMap((batch, j) => golden.has(`b${j}.processed.${task}`)
      ? [compare(`${given.name} b${j}.processed.${task}`, pictureOf(task, batch),
        golden.values(`b${j}.processed.${task}`), BOUNDS.picture)] : []),
  ];
}

function checkScores({ name, scores }: MetricCase, task: Task, batches: readonly Batch[]): Check[] {
  const meter = createMeter({ name: task, outputs: batches[0]!.shape[1] }, { official: true });
  for (const batch of batches) meter.update(batch);
  const got = meter.scores();
  return Object.entries(scores[task] ?? {}).flatMap(([key, want]) => {
    const label = `${name} ${task} ${key}`;
    if (Array.isArray(want)) return [];                              // classes, see below
    const score = got[key];
    if (score === undefined) return [failure(label, new Error('the meter has no such score'))];
    return [compareNumber(label, score, want, task === 'normals' ? BOUNDS.angle : BOUNDS.score)];
  });
}

function checkClasses({ name, scores, details }: MetricCase, task: Task, batches: readonly Batch[]): Check[] {
  const meter = iouMeter(batches[0]!.shape[1]);
  for (const batch of batches) meter.update(batch);
  const counts = (['tp', 'fp', 'fn'] as const).flatMap((kind) => {
    const want = details[task]?.[kind];
    return want ? [compareList(`${name} ${task} ${kind}`, [...meter.counts[kind]], want)] : [];
  });
  const classes = scores[task]?.jaccards_all_categs;
  if (!Array.isArray(classes)) return counts;
  return [...counts, compare(`${name} ${task} classes`, meter.perClass(), classes, BOUNDS.score)];
}

function pictureOf(task: Task, { logits, shape }: Batch): ArrayLike<number> {
  switch (task) {
    case 'semseg':
    case 'human_parts': return classMap(logits, shape);
    case 'sal':
    case 'edge': return probabilityMap(logits);
    case 'normals': return normalMap(logits, shape);
    case 'depth': return logits;
  }
}

// the release gives a share, its users per cent
function verifyDelta({ tasks, multi, single, value }: z.infer<typeof DELTA_CASE>): Check[] {
  const asked = Object.fromEntries(tasks.map((task) => [task, multi[task]]));
  const scores = asked as Partial<Record<Task, Scores>>;
  const baselines = Object.fromEntries(tasks.map((task) =>
    [task, Number(single[task]?.[TASK_SCORES[task].key])])) as Partial<Record<Task, number>>;
  return [compareNumber(`delta_m ${tasks.join('+')}`, deltaM(scores, baselines) / 100, value, BOUNDS.deltaM)];
}
