// What the release's model is before it computes anything: its tensors, what of them trains, how it is
// trained.
import { z } from 'zod';
import { isNeverUpdated } from '../../mtlora/freeze.ts';
import { parameterTable } from '../../mtlora/names.ts';
import { TASKS, type ModelSpec, type Task } from '../../mtlora/spec.ts';
import type { Config } from '../config.ts';
import { findProblems } from '../config_checks.ts';
import { CONFIG_SCHEMA } from '../config_schema.ts';
import { LOSS_WEIGHTS } from '../loss.ts';
import { paramsReport } from '../params_report.ts';
import { releaseGroups } from '../release_state.ts';
import { rateAt, rateOfUpdate, scheduleOf } from '../schedule.ts';
import { LOSS } from './losses.ts';
import { compareList, compareNumber, type Check } from './report.ts';

const RATE_BOUND = 1e-12;
const names = z.array(z.string());
const unread = z.unknown().optional();

/** What `<case>.json` says of a model that the release built and trained. */
export const MODEL_CASE = z.strictObject({
  name: z.string(),
  tasks: z.array(z.enum(TASKS)),
  database: z.enum(['PASCALContext', 'NYUD']),
  batch: z.int().positive(),
  itersPerEpoch: z.number(),
  cfg: z.looseObject({ DATA: z.looseObject({}) }),
  stateShapes: z.record(z.string(), z.array(z.int())),
  parameters: names,
  trainable: names,
  noGradThoughTrainable: names,
  counts: z.strictObject({ trainable: z.int(), lora: z.int(), decoder: z.int(), total: z.int() }),
  optimizerGroups: z.array(z.strictObject({ weightDecay: z.number(), names })),
  zeroGradByTheory: names,
  lossWeights: z.record(z.string(), z.number()),
  lrUsed: z.array(z.number()),
  lrAfterLast: z.number().optional(),
  loss: z.array(LOSS),
  gradNorm: z.array(z.number()),
  // how the release was run and what was stored of it, what it made of `cfg`, and its noise
  dropMasks: unread, kinkMargin: unread, pth: unread, steps: unread,
  checkpoint: unread, outStride: unread,
  mtlora: unread, trainCfg: unread, lossRef64: unread, gradNormRef64: unread,
  noiseEval: unread, noiseTrainOut: unread, noiseGrads: unread, noise_step1: unread, noise_step3: unread,
});
export type ModelCase = z.infer<typeof MODEL_CASE>;

/** The configuration that a case describes. @throws Error where this project cannot build it */
export function configOf({ cfg, tasks, database, batch, name }: ModelCase): Config {
  const { DATA, ...rest } = cfg;
  const { success, data, error } = CONFIG_SCHEMA.safeParse({
    ...rest, TASKS: tasks, TAG: name, DATA: { ...DATA, BATCH_SIZE: batch, DBNAME: database },
  });
  if (!success) {
    const { path, message } = error.issues[0]!;
    throw new Error(`${name}: cfg.${path.join('.')}: ${message}`);
  }
  const [problem] = findProblems(data);
  if (problem) throw new Error(`${name}: cfg.${problem.field} ${problem.says}`);
  return data;
}

export function checkFacts(golden: ModelCase, config: Config, spec: ModelSpec): Check[] {
  const { name } = golden;
  const table = parameterTable(spec);
  const parameters = table.filter(({ kind }) => kind === 'param');
  const trainable = parameters.filter((parameter) => parameter.trainable).map((parameter) => parameter.name);
  const report = paramsReport(spec);
  const listed = Object.entries(golden.stateShapes);
  return [
    compareList(`${name} state names`, table.map((entry) => entry.name), listed.map(([each]) => each)),
    compareList(`${name} state shapes`, table.map(({ shape }) => shape.join()),
      listed.map(([, shape]) => shape.join())),
    compareList(`${name} parameters`, parameters.map((parameter) => parameter.name), golden.parameters),
    compareList(`${name} trainable`, trainable.toSorted(), golden.trainable.toSorted()),
    compareList(`${name} never updated`, trainable.filter((each) => isNeverUpdated(spec, each)).sort(),
      golden.noGradThoughTrainable.toSorted()),
    ...Object.entries(golden.counts).map(([key, count]) =>
      compareNumber(`${name} ${key} parameters`, report[key as keyof ModelCase['counts']], count, 0)),
    ...checkTraining(golden, config, spec),
  ];
}

function checkTraining({ name, ...golden }: ModelCase, config: Config, spec: ModelSpec): Check[] {
  const schedule = scheduleOf(config.TRAIN, golden.itersPerEpoch);
  const groups = releaseGroups(spec).map((group) => group.map((parameter) => parameter.name));
  const decays = [config.TRAIN.WEIGHT_DECAY, 0];
  return [
    compareList(`${name} weight decay`, decays.slice(0, golden.optimizerGroups.length),
      golden.optimizerGroups.map(({ weightDecay }) => weightDecay)),
    ...golden.optimizerGroups.map((group, i) =>
      compareList(`${name} optimizer group ${i}`, groups[i] ?? [], group.names)),
    ...Object.entries(golden.lossWeights).map(([task, weight]) =>
      compareNumber(`${name} loss weight ${task}`, LOSS_WEIGHTS[task as Task] ?? NaN, weight, 0)),
    ...golden.lrUsed.map((want, k) =>
      compareNumber(`${name} step ${k} lr`, rateOfUpdate(schedule, k), want, RATE_BOUND)),
    ...golden.lrAfterLast === undefined ? [] : [compareNumber(`${name} lr after the last step`,
      rateAt(schedule, golden.lrUsed.length - 1), golden.lrAfterLast, RATE_BOUND)],
  ];
}
