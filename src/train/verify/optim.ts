import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { size } from '../../autograd/shape.ts';
import { lasting, release, write, type Tensor } from '../../autograd/tensor.ts';
import type { Gpu } from '../../gpu/device.ts';
import { compile, type Executable } from '../../gpu/executable.ts';
import { keep } from '../../gpu/program.ts';
import { isDecayed } from '../../mtlora/names.ts';
import { adamw } from '../../ops/optim/adamw.ts';
import { BLOCK, FLAGS } from '../../ops/optim/arena.ts';
import { gradNorm } from '../../ops/optim/grad_norm.ts';
import { sgd } from '../../ops/optim/sgd.ts';
import { rateAt, rateOfUpdate, scheduleOf } from '../schedule.ts';
import { eachCase, eachOf, readGolden, type Golden } from './golden.ts';
import { compare, compareList, compareNumber, type Check } from './report.ts';

/** What the README of these files allows. */
const BOUNDS = { tensor: 2e-6, rate: 1e-12 };

const SETTINGS = z.strictObject({
  EPOCHS: z.number(), WARMUP_EPOCHS: z.number(), BASE_LR: z.number(), WARMUP_LR: z.number(),
  MIN_LR: z.number(),
  WEIGHT_DECAY: z.number(), CLIP_GRAD: z.number().nullable(),
  scheduler: z.strictObject({
    NAME: z.enum(['cosine', 'linear', 'step', 'multistep']), DECAY_EPOCHS: z.number(), DECAY_RATE: z.number(),
    WARMUP_PREFIX: z.boolean(), GAMMA: z.number(), MULTISTEPS: z.array(z.number()),
  }),
});

const OPTIMIZER = z.strictObject({
  NAME: z.enum(['adamw', 'sgd']), EPS: z.number(), BETAS: z.tuple([z.number(), z.number()]),
  MOMENTUM: z.number(),
});

const OPTIM_CASE = z.strictObject({
  name: z.string(),
  steps: z.int().positive(),
  snapshots: z.array(z.int()),
  clip: z.number().nullable(),
  itersPerEpoch: z.number(),
  settings: SETTINGS.extend({ optimizer: OPTIMIZER }),
  groups: z.array(z.strictObject({ weightDecay: z.number(), names: z.array(z.string()) })),
  lrUsed: z.array(z.number()),
  gradNorm: z.array(z.number()),
  gradNormRef64: z.unknown().optional(),
});
type OptimCase = z.infer<typeof OPTIM_CASE>;

const SCHEDULE_CASE = z.strictObject({
  name: z.string(),
  itersPerEpoch: z.number(),
  settings: SETTINGS,
  initialLr: z.number(),
  afterStepUpdate: z.array(z.tuple([z.number(), z.number()])),
});

/** Holds optimizers, clipping and learning rates to the cases of a folder. */
export async function verifyOptim(gpu: Gpu, folder: string): Promise<Check[]> {
  const cases = existsSync(join(folder, 'cases.json'))
    ? await eachCase(folder, OPTIM_CASE, (given) =>
      verifySteps(gpu, given, readGolden(folder, given.name))) : [];
  const path = join(folder, 'schedules.json');
  return existsSync(path) ? [...cases, ...await eachOf(path, SCHEDULE_CASE, verifySchedule)] : cases;
}

export function isOptimCase(value: object): boolean {
  return 'settings' in value && ('snapshots' in value || 'afterStepUpdate' in value);
}

function verifySchedule(given: z.infer<typeof SCHEDULE_CASE>): Check[] {
  const { name, settings, itersPerEpoch, initialLr, afterStepUpdate } = given;
  const schedule = scheduleOf({ ...settings, LR_SCHEDULER: settings.scheduler }, itersPerEpoch);
  return [
    compareNumber(`${name} initialLr`, rateOfUpdate(schedule, 0), initialLr, BOUNDS.rate),
    ...afterStepUpdate.map(([t, want]) =>
      compareNumber(`${name} after step_update(${t})`, rateAt(schedule, t), want, BOUNDS.rate)),
  ];
}

/** The parameters of a case in one arena, each from a whole block on. */
type Layout = {
  readonly names: readonly string[];
  readonly at: ReadonlyMap<string, number>;
  readonly floats: number;
};

function layOut({ groups }: OptimCase, golden: Golden): Layout {
  const names = groups.flatMap((group) => group.names);
  const at = new Map<string, number>();
  let floats = 0;
  for (const name of names) {
    at.set(name, floats);
    floats += Math.ceil(size(golden.shape(`step0.${name}`)) / BLOCK) * BLOCK;
  }
  return { names, at, floats };
}

function flagsOf({ groups }: OptimCase, golden: Golden, { at, floats }: Layout): Uint32Array {
  const flags = new Uint32Array(floats / BLOCK);
  for (const { names, weightDecay } of groups) {
    for (const name of names.filter((each) => golden.has(`grad.0.${each}`))) {
      const [from, count] = [at.get(name)! / BLOCK, Math.ceil(size(golden.shape(`step0.${name}`)) / BLOCK)];
      flags.fill(weightDecay > 0 ? FLAGS.decay : FLAGS.update, from, from + count);
    }
  }
  return flags;
}

async function verifySteps(gpu: Gpu, given: OptimCase, golden: Golden): Promise<Check[]> {
  const layout = layOut(given, golden);
  const { names, at, floats } = layout;
  const array = (label: string): Tensor => lasting(gpu, label, [floats]);
  const arrays = {
    values: array('values'), grads: array('grads'), first: array('first'), second: array('second'),
  };
  const flags = lasting(gpu, 'flags', [floats / BLOCK], flagsOf(given, golden, layout), 'u32');
  const skipped = lasting(gpu, 'skipped', [1], [0], 'u32');
  const fill = (tensor: Tensor, prefix: string): void => {
    const host = new Float32Array(floats);
    for (const name of names) {
      if (golden.has(`${prefix}.${name}`)) host.set(golden.values(`${prefix}.${name}`), at.get(name));
    }
    write(gpu, tensor, host);
  };
  const { executable, result: norm } = await compile(gpu, given.name, () =>
    step({ ...arrays, flags }, skipped, given));
  const check = async (tensor: Tensor, prefix: string): Promise<Check[]> => {
    const values = await floatsOf(executable, tensor);
    return names.filter((name) => golden.has(`${prefix}.${name}`)).map((name) => {
      const want = golden.values(`${prefix}.${name}`);
      const got = values.subarray(at.get(name), at.get(name)! + want.length);
      return compare(`${given.name} ${prefix}.${name}`, got, want, BOUNDS.tensor);
    });
  };
  try {
    const checks = [...checkRates(given), checkGroups(given, golden)];
    fill(arrays.values, 'step0');
    const [beta1, beta2] = given.settings.optimizer.BETAS;
    for (let k = 0; k < given.steps; k++) {
      fill(arrays.grads, `grad.${k}`);
      const corrections = { correction1: 1 - beta1 ** (k + 1), correction2: 1 - beta2 ** (k + 1) };
      executable.run({ lr: given.lrUsed[k]!, ...corrections });
      const want = given.gradNorm[k];
      if (want !== undefined) {
        const [got] = await floatsOf(executable, norm);
        checks.push(compareNumber(`${given.name} step ${k} gradient norm`, got!, want, BOUNDS.tensor));
      }
      if (given.snapshots.includes(k + 1)) checks.push(...await check(arrays.values, `step${k + 1}`));
    }
    const first = given.settings.optimizer.NAME === 'sgd' ? 'momentum_buffer' : 'exp_avg';
    checks.push(...await check(arrays.first, `final.${first}`));
    checks.push(...await check(arrays.second, 'final.exp_avg_sq'));
    return checks;
  } finally {
    executable.destroy();
    for (const tensor of [...Object.values(arrays), flags, skipped]) release(gpu, tensor);
  }
}

type Arrays = Readonly<Record<'values' | 'grads' | 'first' | 'second' | 'flags', Tensor>>;

/** Traces one step of the case's optimizer. @returns the gradients' norm before clipping */
function step(
  { values, grads, first, second, flags }: Arrays, skipped: Tensor, { clip, settings }: OptimCase,
): Tensor {
  const norm = gradNorm([{ grads, flags }], skipped);
  const { NAME, BETAS: [beta1, beta2], EPS: eps, MOMENTUM: factor } = settings.optimizer;
  const { WEIGHT_DECAY: weightDecay } = settings;
  const common = { weightDecay, clip: clip ?? 0 };
  if (NAME === 'sgd') {
    sgd({ values, grads, momentum: first, flags }, norm, { ...common, factor });
  } else {
    const range = { values, grads, expAvg: first, expAvgSq: second, flags };
    adamw(range, norm, { ...common, beta1, beta2, eps });
  }
  keep(norm);
  return norm;
}

async function floatsOf(executable: Executable, tensor: Tensor): Promise<Float32Array> {
  const [bytes] = await executable.read([tensor]);
  return new Float32Array(bytes!);
}

function checkRates({ name, settings, itersPerEpoch, lrUsed }: OptimCase): Check[] {
  const schedule = scheduleOf({ ...settings, LR_SCHEDULER: settings.scheduler }, itersPerEpoch);
  return lrUsed.map((want, k) =>
    compareNumber(`${name} step ${k} lr`, rateOfUpdate(schedule, k), want, BOUNDS.rate));
}

function checkGroups({ name, groups, settings }: OptimCase, golden: Golden): Check {
  const other = groups.find(({ weightDecay }) => weightDecay !== 0 && weightDecay !== settings.WEIGHT_DECAY);
  if (other) {
    throw new Error(`${name}: a group decays by 0 or ${settings.WEIGHT_DECAY}, got ${other.weightDecay}`);
  }
  const names = groups.flatMap((group) => group.names);
  const decayed = groups.filter(({ weightDecay }) => weightDecay > 0).flatMap((group) => group.names);
  const ours = names.filter((each) => isDecayed({ name: each, shape: golden.shape(`step0.${each}`) }));
  return compareList(`${name} decayed parameters`, ours.toSorted(), decayed.toSorted());
}
