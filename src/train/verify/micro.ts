// A model of 174,682 parameters whose weights, image and labels follow from their names, in every adapter
// mode and with each site switched off: losses, outputs, gradients and three updates that the release
// computed in f64.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { HostTensor } from '../../data/host_tensor.ts';
import { toFloat32 } from '../../data/host_tensor.ts';
import type { Gpu } from '../../gpu/device.ts';
import { isNeverUpdated } from '../../mtlora/freeze.ts';
import { isHeld, parameterTable } from '../../mtlora/names.ts';
import { TASKS, type Task } from '../../mtlora/spec.ts';
import { ParameterStore } from '../../mtlora/store.ts';
import { modelSpec, type Config } from '../config.ts';
import { CONFIG_SCHEMA } from '../config_schema.ts';
import { paramsReport } from '../params_report.ts';
import { compileTrainStep } from '../step.ts';
import { parseCase, readJson } from './golden.ts';
import { compareLoss, LOSS } from './losses.ts';
import { checkEval } from './micro_eval.ts';
import { microBatch, microTensor } from './micro_fill.ts';
import { compareList, compareNumber, compareSummary, failure, SUMMARY, type Check } from './report.ts';

/** In f32 rounding grows from step to step, as AdamW divides small gradients by themselves. */
const BOUNDS = {
  loss: [1e-5, 1e-4, 1e-4, 1e-3], gradNorm: [1e-4, 1e-2, 5e-2], gradient: 1e-3, moved: [1e-4, 5e-3],
};

const SUMMARIES = z.record(z.string(), SUMMARY);

const TRAIN = z.strictObject({
  loss: LOSS,
  n_trainable_tensors: z.int(),
  no_grad: z.array(z.string()),
  grads: SUMMARIES.default({}),
  steps: z.array(z.strictObject({ total_loss: z.number(), grad_norm_before_clip: z.number() })),
  params_after_step1: SUMMARIES.default({}),
  bn_after_step1: SUMMARIES.default({}),
  params_after_step3: SUMMARIES.default({}),
  loss_after_step3: LOSS,
});

const MICRO_CASE = z.strictObject({
  counts: z.strictObject({
    trainable: z.int(), lora: z.int(), decoder: z.int(), extra: z.int(), total: z.int(), total_wo: z.int(),
  }),
  stages: z.array(z.strictObject({ shape: z.array(z.int()), shared: SUMMARY, tasks: SUMMARIES })),
  outputs: z.record(z.string(), SUMMARY.extend({ shape: z.array(z.int()), first8: z.array(z.number()) })),
  eval_loss: LOSS,
  metrics: z.record(z.string(), z.record(z.string(), z.number())),
  full: z.strictObject({
    stage_shared: z.array(z.array(z.number())),
    stage_tasks: z.array(z.record(z.string(), z.array(z.number()))),
    output_row0: z.record(z.string(), z.array(z.number())),
  }).optional(),
  train: TRAIN,
});
export type MicroCase = z.infer<typeof MICRO_CASE>;

const MICRO = z.strictObject({
  description: z.string(),
  tasks: z.array(z.enum(TASKS)),
  input_first8: z.array(z.number()),
  label_checks: z.record(z.string(), z.strictObject({ sum: z.number(), first8: z.array(z.number()) })),
  cases: z.record(z.string(), z.unknown()),
});

/** What a case's name stands for. */
const SWITCHES: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  matrix: {}, matrixv2: { SHARED_MODE: 'matrixv2' }, addition: { SHARED_MODE: 'addition' },
  lora_only: { SHARED_MODE: 'lora_only' }, plus: { DOWNSAMPLER_ENABLED: true },
  noQKV: { QKV_ENABLED: false }, noPROJ: { PROJ_ENABLED: false },
  noFC1: { FC1_ENABLED: false }, noFC2: { FC2_ENABLED: false },
};

const FILE = 'micro.json';

export function isMicroFolder(folder: string): boolean {
  return existsSync(join(folder, FILE));
}

/** Holds the micro model to the cases of `micro.json`, or to those that `only` names. */
export async function verifyMicro(gpu: Gpu, folder: string, only?: readonly string[]): Promise<Check[]> {
  const path = join(folder, FILE);
  const { tasks, cases, label_checks: labels, input_first8: first } = parseCase(MICRO, readJson(path), path);
  const batch = microBatch(tasks);
  const checks = [
    compareSummary('input image', batch.image.subarray(0, first.length), { values: first }, 1e-6),
    ...Object.entries(labels).flatMap(([task, { sum, first8 }]) => {
      const values = batch.labels[task]!;
      return [
        compareNumber(`labels ${task} sum`, values.reduce((total, value) => total + value, 0), sum, 1e-7),
        compareSummary(`labels ${task}`, values.subarray(0, first8.length), { values: first8 }, 1e-6),
      ];
    }),
  ];
  for (const [name, value] of Object.entries(cases).filter(([each]) => !only || only.includes(each))) {
    try {
      checks.push(...await verifyCase(gpu, name, tasks, parseCase(MICRO_CASE, value, path)));
    } catch (error) {
      checks.push(failure(`${name} runs`, error));
    }
  }
  return checks;
}

function configOf(name: string, tasks: readonly Task[]): Config {
  const switches = SWITCHES[name];
  if (!switches) throw new Error(`no case "${name}" is known, only ${Object.keys(SWITCHES).join(', ')}`);
  return CONFIG_SCHEMA.parse({
    TASKS: tasks, DATA: { IMG_SIZE: 64, BATCH_SIZE: 2, DBNAME: 'PASCALContext' },
    TRAIN: { CLIP_GRAD: 1, WEIGHT_DECAY: 0.05 },
    MODEL: {
      DROP_PATH_RATE: 0, DECODER_CHANNELS: [2, 3, 4, 5],
      SWIN: { EMBED_DIM: 8, DEPTHS: [2, 2, 2, 2], NUM_HEADS: [1, 2, 2, 4], WINDOW_SIZE: 4 },
      MTLORA: {
        ENABLED: true, DROPOUT: [0], SHARED_SCALE: [4, 2, 1, 0.5],
        R_PER_TASK: {
          shared: [3, 2, 2, 4], semseg: [1, 2, 1, 2], normals: [2, 1, 2, 1], sal: [1, 1, 1, 1],
          human_parts: [1, 1, 2, 2],
        },
        ...switches,
      },
    },
  });
}

async function verifyCase(
  gpu: Gpu, name: string, tasks: readonly Task[], golden: MicroCase,
): Promise<Check[]> {
  const config = configOf(name, tasks);
  const store = new ParameterStore(gpu, modelSpec(config));
  const state = new Map(parameterTable(store.spec).filter(isHeld).map((entry) =>
    [entry.name, microTensor(entry.name, entry.shape)] as const));
  try {
    store.load(state);
    return [
      ...checkCounts(name, golden, store),
      ...await checkEval(gpu, name, golden, store),
      ...await checkTrain(gpu, name, golden, store, config),
    ];
  } finally {
    store.destroy();
  }
}

function checkCounts(name: string, { counts, train }: MicroCase, { spec }: ParameterStore): Check[] {
  const report = paramsReport(spec);
  const { total_wo: without, ...same } = counts;
  const never = parameterTable(spec).filter(({ kind, name: each }) =>
    kind === 'param' && isNeverUpdated(spec, each));
  return [
    ...Object.entries(same).map(([key, want]) =>
      compareNumber(`${name} ${key} parameters`, report[key as keyof typeof same], want, 0)),
    compareNumber(`${name} parameters without branches`, report.total - report.lora, without, 0),
    compareList(`${name} never updated`, never.map((entry) => entry.name).sort(), train.no_grad.toSorted()),
  ];
}

async function checkTrain(
  gpu: Gpu, name: string, { train }: MicroCase, store: ParameterStore, config: Config,
): Promise<Check[]> {
  const batch = microBatch(config.TASKS as Task[]);
  const step = await compileTrainStep(gpu, store, config, 2);
  const checks: Check[] = [];
  try {
    for (let k = 0; k <= train.steps.length; k++) {
      step.run([batch], { step: k, seed: 0, lr: 1e-3 });
      const report = await step.report();
      const want = train.steps[k];
      const losses = k === 0 ? train.loss : want ? { total: want.total_loss } : train.loss_after_step3;
      const got: Record<string, number> = { total: report.total, ...Object.fromEntries(report.tasks) };
      checks.push(...Object.entries(losses).map(([task, loss]) =>
        compareLoss(`${name} step ${k} loss ${task}`, got[task]!, loss, BOUNDS.loss[k]!)));
      if (!want) break;
      const label = `${name} step ${k} gradient norm`;
      checks.push(compareNumber(label, report.gradNorm, want.grad_norm_before_clip, BOUNDS.gradNorm[k]!));
      if (k === 0) {
        const gradients = await store.readGradients();
        checks.push(...checkSummaries(`${name} grad`, gradients, train.grads, BOUNDS.gradient));
      }
      if (k === 0 || k === 2) {
        const after = k === 0 ? { ...train.params_after_step1, ...train.bn_after_step1 }
          : train.params_after_step3;
        const label = `${name} step${k + 1}`;
        checks.push(...checkSummaries(label, await store.read(), after, BOUNDS.moved[k / 2]!));
      }
    }
  } finally {
    step.destroy();
  }
  return checks;
}

// a convolution's bias before BatchNorm has a gradient of noise, of which AdamW makes steps of full size
function checkSummaries(
  label: string, got: ReadonlyMap<string, HostTensor>, want: z.infer<typeof SUMMARIES>, bound: number,
): Check[] {
  const compared = Object.entries(want).filter(([name]) => !name.endsWith('last_layer.0.bias'));
  return compared.map(([name, summary]) => {
    const tensor = got.get(name);
    if (!tensor) return failure(`${label}.${name}`, new Error('there is no such tensor'));
    return compareSummary(`${label}.${name}`, toFloat32(tensor), summary, bound);
  });
}
