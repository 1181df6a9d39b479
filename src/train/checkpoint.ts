// Checkpoints: all tensors of the model under the release's names, AdamW's moments and moving averages beside
// them as `optimizer.exp_avg.<name>` and `optimizer.ema.<name>`, what trains with the model as
// `optimizer.<name>`, and in the metadata where the run stood. Those of the release are read too.
import { z } from 'zod';
import type { HostTensor } from '../data/host_tensor.ts';
import { readPth } from '../data/pth.ts';
import { readSafetensors, writeSafetensors } from '../data/safetensors.ts';
import { stateDictOf } from '../data/state_dict.ts';
import type { ModelSpec } from '../mtlora/spec.ts';
import type { ParameterStore } from '../mtlora/store.ts';
import type { LossScale } from '../ops/optim/loss_scale.ts';
import type { Config } from './config.ts';
import { formatConfig } from './config.ts';
import { readReleaseRun } from './release_state.ts';
import { fitWeights, fullStateDict, type MapOptions } from './weights.ts';

/** Where a run stands: with the tensors and the configuration, all that its continuation depends on. */
export type Position = {
  /** Updates done. */
  readonly step: number;
  /** Batches that the running statistics have seen. */
  readonly tracked: number;
  /** Images of the training split. */
  readonly samples: number;
};

type Tensors = Map<string, HostTensor>;

export type Checkpoint = {
  readonly path: string;
  readonly model: Tensors;
  /** null: the file holds a model alone. */
  readonly run: { readonly position: Position; readonly moments: readonly [Tensors, Tensors];
    /** What trains with the model and is no part of it: the losses' weights, where they are learned. */
    readonly beside: Tensors;
    /** null: the run kept none. */
    readonly averages: Tensors | null;
    /** null: the run scaled no loss. */
    readonly lossScale: LossScale | null;
    /** null: a file of the release, which does not say. */
    readonly fixed: Readonly<Record<string, string>> | null } | null;
};

const count = z.number().int().nonnegative();
const POSITION: z.ZodType<Position> = z.strictObject({ step: count, tracked: count, samples: count });
const FIXED = z.record(z.string(), z.string());
const SCALE: z.ZodType<LossScale> = z.strictObject({ scale: z.number().positive(), goodSteps: count });
const FORMAT = 'mtlora checkpoint 1';
const MOMENTS = ['optimizer.exp_avg.', 'optimizer.exp_avg_sq.'] as const;
const AVERAGES = 'optimizer.ema.';
const BESIDE = 'optimizer.';

/** What a continued run must have in common with the run that it continues, by the fields that set it. */
function fixedFields(config: Config, { samples }: Position): Record<string, string> {
  const { SEED, DATA, TRAIN, PRECISION } = config;
  return {
    SEED: String(SEED),
    'DATA.BATCH_SIZE': String(DATA.BATCH_SIZE),
    'TRAIN.ACCUMULATION_STEPS': String(TRAIN.ACCUMULATION_STEPS),
    'TRAIN.OPTIMIZER.NAME': TRAIN.OPTIMIZER.NAME,
    PRECISION,
    'the number of training images': String(samples),
  };
}

/**
 * Writes a checkpoint in one atomic step; waits for the device.
 *
 * @param lossScale null where the run scales no loss
 */
export async function saveCheckpoint(
  path: string, store: ParameterStore, config: Config, position: Position, lossScale: LossScale | null,
  versions: Readonly<Record<string, string>>,
): Promise<void> {
  const values = await store.read();
  const tensors = fullStateDict(store.spec, values, position.tracked);
  for (const [name, tensor] of values) if (!tensors.has(name)) tensors.set(BESIDE + name, tensor);
  const { moments, averages } = store.arena;
  const kept = [[MOMENTS[0], moments[0]], [MOMENTS[1], moments[1]], [AVERAGES, averages]] as const;
  for (const [prefix, buffer] of kept) {
    if (!buffer) continue;
    for (const [name, tensor] of await store.readArena(buffer)) tensors.set(prefix + name, tensor);
  }
  writeSafetensors(path, tensors, {
    format: FORMAT,
    position: JSON.stringify(position),
    ...lossScale && { loss_scale: JSON.stringify(lossScale) },
    fixed: JSON.stringify(fixedFields(config, position)),
    config: formatConfig(config),
    ...versions,
  });
}

/** What a run of the release is read for: its model, and what an epoch of it is here. */
export type ReleaseContext = {
  readonly spec: ModelSpec;
  readonly samples: number;
  readonly stepsPerEpoch: number;
};

/**
 * Reads a checkpoint of ours or of the release, or the model of any .safetensors or .pth file.
 *
 * @param context without it a checkpoint of the release is a model alone
 */
export async function readCheckpoint(
  path: string, context: ReleaseContext | null = null,
): Promise<Checkpoint> {
  if (!path.toLowerCase().endsWith('.safetensors')) return readReleased(path, context);
  const { tensors, metadata } = readSafetensors(path);
  const prefixes = [...MOMENTS, AVERAGES, BESIDE, ''];
  const groups = prefixes.map((prefix) => [prefix, new Map<string, HostTensor>()] as const);
  for (const [name, tensor] of tensors) {
    const [prefix, group] = groups.find(([start]) => name.startsWith(start))!;
    group.set(name.slice(prefix.length), tensor);
  }
  const [first, second, averages, beside, model] = groups.map(([, group]) => group) as
    [Tensors, Tensors, Tensors, Tensors, Tensors];
  const moments = [first, second] as const;
  if (metadata.format !== FORMAT) return { path, model, run: null };
  const checked = <T>(schema: z.ZodType<T>, field: string): T => {
    const parsed = schema.safeParse(parseJson(metadata[field]));
    if (parsed.success) return parsed.data;
    throw new Error(`Cannot resume from "${path}": its metadata must hold a whole "${field}" `
      + '(the file is damaged)');
  };
  const all = new Map([...model, ...beside]);
  const wrong = wrongMoment(all, moments) ?? wrongAverage(all, averages) ?? wrongBeside(beside);
  if (wrong !== null) throw new Error(`Cannot resume from "${path}": ${wrong}`);
  const [position, fixed] = [checked(POSITION, 'position'), checked(FIXED, 'fixed')];
  const lossScale = metadata.loss_scale === undefined ? null : checked(SCALE, 'loss_scale');
  const kept = { beside, averages: averages.size > 0 ? averages : null, lossScale };
  return { path, model, run: { position, moments, fixed, ...kept } };
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '') as unknown;
  } catch {
    return undefined;
  }
}

/** What is wrong with an optimizer's state, if anything: who has a moment has two, and they are finite. */
function wrongMoment(model: Tensors, [first, second]: readonly [Tensors, Tensors]): string | null {
  for (const [name, tensor] of [...first, ...second]) {
    const fits = tensor.dtype === 'F32' && tensor.shape.join() === model.get(name)?.shape.join();
    if (!fits || !first.has(name) || !second.has(name)) {
      return `the moments of "${name}" must be two, in F32 and of its shape`;
    }
    const finite = (tensor.data as Float32Array).every(Number.isFinite);
    if (!finite) return `the moments of "${name}" must be finite`;
  }
  return null;
}

function wrongAverage(model: Tensors, averages: Tensors): string | null {
  for (const [name, tensor] of averages) {
    const fits = tensor.dtype === 'F32' && tensor.shape.join() === model.get(name)?.shape.join();
    if (!fits) return `the average of "${name}" must be in F32 and of its shape`;
    const finite = (tensor.data as Float32Array).every(Number.isFinite);
    if (!finite) return `the average of "${name}" must be finite`;
  }
  return null;
}

function wrongBeside(beside: Tensors): string | null {
  for (const [name, { dtype, data }] of beside) {
    const finite = dtype === 'F32' && (data as Float32Array).every(Number.isFinite);
    if (!finite) return `"${name}" must be finite, in F32`;
  }
  return null;
}

async function readReleased(path: string, context: ReleaseContext | null): Promise<Checkpoint> {
  const root = await readPth(path);
  const model = stateDictOf(path, root);
  const found = context && readReleaseRun(context.spec, root, path);
  if (!found) return { path, model, run: null };
  const step = found.epochs * context.stepsPerEpoch;
  const position = { step, tracked: trackedOf({ path, model, run: null }), samples: context.samples };
  const { moments, lossScale } = found;
  const kept = { beside: new Map(), averages: null, fixed: null };
  return { path, model, run: { position, moments, lossScale, ...kept } };
}

/** Loads a file's model into the store. @returns lines that say what was loaded and what was not */
export function loadModel(store: ParameterStore, { path, model }: Checkpoint, options: MapOptions = {}):
  readonly string[] {
  const { values, lines } = fitWeights(store.spec, model, path, options);
  store.load(values);
  return lines;
}

/** How many batches the running statistics of a file have seen. */
export function trackedOf({ model }: Checkpoint): number {
  for (const [name, { data }] of model) if (name.endsWith('.num_batches_tracked')) return Number(data[0]);
  return 0;
}

/** Throws unless a run of `config` can go on where the checkpoint's stood. */
export function expectSameRun(checkpoint: Checkpoint, config: Config, samples: number): void {
  const { fixed, position } = checkpoint.run!;
  if (!fixed) return;
  const before: Record<string, string> = { PRECISION: 'f32', ...fixed };    // older files do not say it
  for (const [field, now] of Object.entries(fixedFields(config, { ...position, samples }))) {
    if (before[field] === now) continue;
    throw new Error(`Cannot resume from "${checkpoint.path}": ${field} must be ${before[field]} as in that `
      + `run, got ${now} (--weights-only starts a new run from its weights)`);
  }
}

/** The checkpoint with the model's averages as its model, where it has any. */
export function averaged(checkpoint: Checkpoint): Checkpoint {
  const averages = [...checkpoint.run?.averages ?? []].filter(([name]) => checkpoint.model.has(name));
  return { ...checkpoint, model: new Map([...checkpoint.model, ...averages]) };
}

/**
 * Restores the optimizer, what trains beside the model, and the averages where both have them; the step must
 * be compiled, which tells what the optimizer updates.
 */
export async function loadOptimizer(store: ParameterStore, checkpoint: Checkpoint): Promise<void> {
  const { moments, averages, beside } = checkpoint.run!;
  const { arena } = store;
  const updated = await store.readArena(arena.moments[0]);
  const differing = [...updated.keys()].find((name) => !moments[0].has(name))
    ?? [...moments[0].keys()].find((name) => !updated.has(name));
  if (differing !== undefined) {
    throw new Error(`Cannot resume from "${checkpoint.path}": what trains must be the same as in that run, `
      + `"${differing}" differs (--weights-only starts a new run from its weights)`);
  }
  store.load(beside);
  moments.forEach((values, which) => store.loadArena(arena.moments[which]!, values));
  if (averages && arena.averages) store.loadArena(arena.averages, averages);
}
