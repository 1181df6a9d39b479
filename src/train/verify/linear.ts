import { z } from 'zod';
import type { Gpu } from '../../gpu/device.ts';
import { siteLayer } from '../../mtlora/site.ts';
import { layerMode } from '../../mtlora/spec.ts';
import { eachCase, readGolden, type Golden } from './golden.ts';
import { checkGradients, checkOutputs, Leaves } from './leaves.ts';
import { compareList, type Check } from './report.ts';
import { goldenSite, SHARED_MODE, streamTasks, type GoldenLora } from './sites.ts';

/** Relative L2 error that the README of these files allows. */
const BOUND = 2e-6;

const LINEAR_CASE = z.strictObject({
  name: z.string(),
  inFeatures: z.int().positive(),
  outFeatures: z.int().positive(),
  xShape: z.array(z.int().positive()).min(2),
  tasks: z.array(z.string()).nullable(),
  r: z.record(z.string(), z.int().nonnegative()),
  sharedScale: z.number(),
  // one number where the release starts every task's trainable scale from it
  taskScale: z.union([z.record(z.string(), z.number()), z.number()]),
  sharedMode: SHARED_MODE,
  xTasks: z.boolean(),
  bias: z.boolean(),
  dropout: z.number(),
  trainableScaleShared: z.boolean(),
  trainableScalePerTask: z.boolean(),
  effective: z.strictObject({ returnedTasks: z.array(z.string()).nullable(), sharedMode: z.string() }),
  noGrad: z.array(z.string()).default([]),
});
type LinearCase = z.infer<typeof LINEAR_CASE>;

/** Holds the adapted linear layer, forward and every gradient, to the cases of a folder. */
export async function verifyLinear(gpu: Gpu, folder: string): Promise<Check[]> {
  return eachCase(folder, LINEAR_CASE, (given) => verifyCase(gpu, given, readGolden(folder, given.name)));
}

export function isLinearCase(value: object): boolean {
  return 'inFeatures' in value && 'sharedMode' in value;
}

async function verifyCase(gpu: Gpu, given: LinearCase, golden: Golden): Promise<Check[]> {
  const leaves = new Leaves(gpu, golden);
  try {
    const lora = loraOf(given, leaves, golden);
    const tasks = streamTasks(lora);
    const mode = layerMode(given.sharedMode, tasks.length);
    const streams = ['x', ...given.xTasks ? tasks.map((task) => `x_tasks.${task}`) : []];
    const x = leaves.inputs(streams, { shape: [streams.length, ...given.xShape] });
    const width = { out: given.outFeatures, input: given.inFeatures, bias: given.bias };
    const layer = siteLayer(goldenSite(leaves, '', width, lora), true);
    leaves.expectAllTaken(given.noGrad);
    const outputs = ['out', ...tasks.map((task) => `out_tasks.${task}`)];
    const upstream = leaves.constant(outputs.map((output) => `upstream.${output}`), {
      shape: [outputs.length, ...given.xShape.slice(0, -1), given.outFeatures],
    });
    const { outputs: [y], gradients } = await leaves.run(() => {
      const out = layer(x);
      return { outputs: [out], seeds: [[out, upstream]] };
    });
    return [
      compareList(`${given.name} mode`, [mode], [given.effective.sharedMode]),
      compareList(`${given.name} tasks`, tasks, given.effective.returnedTasks ?? []),
      ...checkOutputs(given.name, golden, y!, outputs, BOUND),
      ...checkGradients(given.name, golden, gradients, BOUND),
    ];
  } finally {
    leaves.release();
  }
}

function loraOf(given: LinearCase, leaves: Leaves, golden: Golden): GoldenLora {
  const { taskScale, dropout } = given;
  const tasks = given.tasks ?? [];
  const dropped = golden.has('in.dropout_mask');
  if (dropout > 0 && !dropped) {
    throw new Error(`${golden.path}: dropout ${dropout} wants a tensor "in.dropout_mask"`);
  }
  return {
    mode: given.sharedMode, tasks, ranks: given.r, sharedScale: given.sharedScale,
    taskScale: typeof taskScale === 'object' ? taskScale
      : Object.fromEntries(tasks.map((task) => [task, taskScale])),
    trainableScale: { shared: given.trainableScaleShared, tasks: given.trainableScalePerTask },
    keep: dropped ? leaves.keepBits('in.dropout_mask') : undefined,
  };
}
