import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Gpu } from '../../gpu/device.ts';
import { eachCase, readGolden, withTensors, type Golden } from './golden.ts';
import { DECODER_HEADS, type Built } from './decoder_heads.ts';
import { formulaTensor } from './formula.ts';
import { verifyInterpolate } from './interpolate.ts';
import { checkGradients, Leaves } from './leaves.ts';
import { compare, compareNumber, exactly, type Check } from './report.ts';

/** Relative L2 errors that the README of these files allows; ASPP normalises two pooled values a channel. */
const BOUNDS = { head: 5e-6, aspp: 1e-4, filled: 1e-6 };

const side = z.union([z.int(), z.tuple([z.int(), z.int()])]).transform((each): [number, number] =>
  typeof each === 'number' ? [each, each] : each);

const DECODER_CASE = z.strictObject({
  name: z.string(),
  head: z.enum(['hrnet', 'segformer', 'aspp', 'updecoder', 'downsampler', 'group']),
  channels: z.array(z.int()),
  outputs: z.int().optional(),
  embed: z.int().optional(),
  batch: z.int(),
  /** Height and width of each map; those of a downsampler's tokens. */
  sizes: z.array(side).optional(),
  resolution: z.array(side).optional(),
  dims: z.array(z.int()).optional(),
  /** A group's tasks with their outputs, and the size that all end at. */
  tasks: z.record(z.string(), z.int()).optional(),
  out_size: side.optional(),
  /** Of the names of tensors whose values follow from them. */
  formulaPrefix: z.string().optional(),
  stateShapes: z.record(z.string(), z.array(z.int())).default({}),
  stateCheck: z.record(z.string(), z.strictObject({ first: z.array(z.number()), sum64: z.number() }))
    .default({}),
  noGrad: z.array(z.string()).default([]),
  zeroGradByTheory: z.array(z.string()).default([]),
  reluMargin: z.unknown().optional(),
});
export type DecoderCase = z.infer<typeof DECODER_CASE>;

/** Holds heads, downsamplers and resizes, in both modes and with every gradient, to the cases of a folder. */
export async function verifyDecoders(gpu: Gpu, folder: string): Promise<Check[]> {
  const checks = await eachCase(folder, DECODER_CASE, async (given) => {
    const file = readGolden(folder, given.name);
    const golden = given.formulaPrefix === undefined ? file : filled(given, file);
    const modes = (['train', 'eval'] as const).filter((mode) => golden.below(`${mode}.`).length > 0);
    const found = checkFilled(given, golden);
    for (const mode of modes) found.push(...await verifyMode(gpu, given, golden, mode));
    return found;
  });
  const resizes = existsSync(join(folder, 'interpolate.safetensors'));
  return resizes ? [...checks, ...await verifyInterpolate(gpu, folder, BOUNDS.head)] : checks;
}

export function isDecoderCase(value: object): boolean {
  return 'head' in value && 'channels' in value;
}

async function verifyMode(
  gpu: Gpu, given: DecoderCase, golden: Golden, mode: 'train' | 'eval',
): Promise<Check[]> {
  const bound = given.head === 'aspp' ? BOUNDS.aspp : BOUNDS.head;
  const leaves = new Leaves(gpu, golden);
  const label = `${given.name} ${mode}`;
  try {
    const built: Built = DECODER_HEADS[given.head](given, golden, leaves);
    leaves.expectAllTaken(given.noGrad);
    const upstream = built.outputs.map(({ name, shape, layout }) =>
      leaves.constant([`upstream${name}`], { shape, layout }));
    const { outputs, gradients } = await leaves.run(() => {
      const ys = built.forward({ training: mode === 'train' });
      return { outputs: ys, seeds: ys.map((y, i) => [y, upstream[i]!] as const) };
    });
    const zero = given.zeroGradByTheory.filter((name) => name.startsWith(`${mode}.grad.`));
    return [
      ...built.outputs.map(({ name, layout }, i) => {
        const stored = `${mode}.out${name}`;
        const got = layout.toFile(outputs[i]!, golden.shape(stored));
        return compare(`${given.name} ${stored}`, got, golden.values(stored), bound);
      }),
      ...checkGradients(label, golden, gradients, bound, {
        prefix: `${mode}.grad.`, zero: zero.map((name) => name.slice(`${mode}.grad.`.length)),
      }),
      ...mode === 'train' ? await checkBuffers(given, golden, leaves, bound) : [],
    ];
  } finally {
    leaves.release();
  }
}

/** Running statistics after a pass in train mode; the counter is the trainer's, which counts every pass. */
async function checkBuffers(
  { name }: DecoderCase, golden: Golden, leaves: Leaves, bound: number,
): Promise<Check[]> {
  const after = await leaves.readBuffers();
  return golden.below('train.after.').map((buffer) => {
    const label = `${name} train.after.${buffer}`;
    const want = golden.values(`train.after.${buffer}`);
    if (buffer.endsWith('num_batches_tracked')) {
      return exactly(label, golden.values(`buffer.${buffer}`)[0]! + 1, want[0]!);
    }
    return compare(label, after.get(buffer) ?? [], want, bound);
  });
}

/** Of a tensor of a head's state dict. */
function storedName(name: string): string {
  return `${/running_(mean|var)$|num_batches_tracked$/.test(name) ? 'buffer' : 'param'}.${name}`;
}

function filled({ formulaPrefix, stateShapes }: DecoderCase, golden: Golden): Golden {
  return withTensors(golden, new Map(Object.entries(stateShapes).map(([name, shape]) =>
    [storedName(name), formulaTensor(`${formulaPrefix}${name}`, shape)] as const)));
}

function checkFilled({ name, stateCheck }: DecoderCase, golden: Golden): Check[] {
  return Object.entries(stateCheck).flatMap(([each, { first, sum64 }]) => {
    const values = golden.values(storedName(each));
    const sum = values.reduce((total, value) => total + value, 0);
    const scale = Math.sqrt(values.length) || 1;
    return [
      compare(`${name} ${each} first values`, values.subarray(0, first.length), first, 0),
      compareNumber(`${name} ${each} sum`, sum / scale, sum64 / scale, BOUNDS.filled),
    ];
  });
}
