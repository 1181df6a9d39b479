import { backward } from '../autograd/tape.ts';
import { lasting, makeTensor, release, type Tensor } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import { findNonFinite, type Anomaly } from '../gpu/anomaly.ts';
import { compile, planOnly, type Executable, type Live } from '../gpu/executable.ts';
import { keep, scope } from '../gpu/program.ts';
import { createStorage } from '../gpu/storage.ts';
import { accumulate } from '../ops/optim/accumulate.ts';
import { lossScale, lossScaleOf, scaledSeed, setLossScale, type LossScale } from '../ops/optim/loss_scale.ts';
import { forward } from '../mtlora/model.ts';
import type { Task } from '../mtlora/spec.ts';
import type { ParameterStore } from '../mtlora/store.ts';
import type { Config } from './config.ts';
import { Inputs, type HostBatch } from './inputs.ts';
import { learnedWeights, LOG_VARIANCES, multiTaskLoss } from './loss.ts';
import { biasCorrections, optimizerStep } from './optimizer.ts';

/** What a step tells: losses of its last micro-batch, the gradients' norm before clipping, steps left out. */
export type StepReport = {
  readonly total: number;
  readonly tasks: ReadonlyMap<Task, number>;
  /** The tasks' weights behind the step, where they are learned. */
  readonly weights: ReadonlyMap<Task, number> | null;
  readonly gradNorm: number;
  /** Steps left out so far because the norm was not finite. */
  readonly skipped: number;
  /** What the loss of the next step is multiplied by; null where it never is. */
  readonly lossScale: LossScale | null;
};

/** A training step, traced, planned and compiled once. */
export type TrainStep = {
  /** Submits forward, backward and, after the last micro-batch, the update; does not wait. */
  run(batches: readonly HostBatch[], at: { step: number; seed: number; lr: number }): void;
  /** Reads the report of what was submitted so far, and waits for it. */
  report(): Promise<StepReport>;
  /** Goes on with a loss scale; only where steps have one. */
  restoreLossScale(scale: LossScale): void;
  /** Runs the forward and backward pass of the last batch again, launch by launch. @returns its first NaN */
  findNonFinite(): Promise<Anomaly | null>;
  readonly programs: readonly Executable[];
  destroy(): void;
};

/** What lies on the device beside the parameters, from step to step. */
type Buffers = {
  readonly inputs: Inputs;
  readonly skipped: Tensor;
  readonly scaling: Tensor | null;
  /** Gradients of one micro-batch, where a step sums several. */
  readonly fresh: GPUBuffer | null;
};

/** Without accumulation `pass` and `update` are one program. */
type Compiled<E = Executable> = {
  readonly pass: E;
  readonly update: E;
  readonly total: Tensor;
  readonly perTask: readonly Tensor[];
  readonly norm: Tensor;
};

/** Makes a program of a traced body. */
type Make<E> = <T>(label: string, body: () => T) => Promise<{ readonly executable: E; readonly result: T }>;

/** What a training step takes, but for the parameters and its batch, which are allocated. */
export async function planTrainStep(
  gpu: Gpu, store: ParameterStore, config: Config, batchSize: number,
): Promise<Pick<Executable, 'label' | 'plan'>[]> {
  const make: Make<Pick<Executable, 'label' | 'plan'>> = async (label, body) => {
    const { plan, result } = planOnly(gpu, label, body);
    return { executable: { label, plan }, result };
  };
  const buffers = allocateFor(gpu, store, config, batchSize);
  const { pass, update } = await makePrograms(gpu, store, config, buffers, make);
  return [...new Set([pass, update])];
}

/**
 * Traces and compiles a training step for a fixed batch size.
 *
 * @throws Error where the configuration asks for f16 and the device cannot store it
 */
export async function compileTrainStep(
  gpu: Gpu, store: ParameterStore, config: Config, batchSize: number,
): Promise<TrainStep> {
  const buffers = allocateFor(gpu, store, config, batchSize);
  await buffers.inputs.compile();
  const make: Make<Executable> = (label, body) => compile(gpu, label, body);
  const compiled = await makePrograms(gpu, store, config, buffers, make);
  const programs = [...new Set([compiled.pass, compiled.update])];
  let last: Live = {};
  return {
    programs,
    run(batches, at) { last = runStep(config, buffers, compiled, batches, at); },
    findNonFinite: () => findNonFinite(gpu, compiled.pass, last),
    report: () => readReport(gpu, store, buffers, compiled),
    restoreLossScale(scale) {
      if (!buffers.scaling) throw new Error('training step: has no loss scale in f32');
      setLossScale(gpu, buffers.scaling, scale);
    },
    destroy() {
      for (const program of programs) program.destroy();
      buffers.inputs.destroy();
      for (const tensor of [buffers.skipped, buffers.scaling]) if (tensor) release(gpu, tensor);
      if (buffers.fresh) gpu.memory.free(buffers.fresh);
    },
  };
}

function allocateFor(
  gpu: Gpu, store: ParameterStore, { TRAIN, PRECISION }: Config, batchSize: number,
): Buffers {
  const several = TRAIN.ACCUMULATION_STEPS > 1;
  const halves = PRECISION === 'f16';
  if (halves && !gpu.features.has('shader-f16')) {
    const { name } = gpu.adapter;
    throw new Error(`--precision: must be f32 on "${name}", got f16: the adapter has no shader-f16`);
  }
  return {
    inputs: new Inputs(gpu, store.spec, batchSize),
    skipped: lasting(gpu, 'skipped steps', [1], [0], 'u32'),
    scaling: halves ? lossScale(gpu) : null,
    fresh: several ? gpu.memory.alloc('gradients of a micro-batch', 4 * store.arena.floats) : null,
  };
}

async function makePrograms<E>(
  gpu: Gpu, store: ParameterStore, { TRAIN, COMPAT, PRECISION }: Config,
  { inputs, skipped, scaling, fresh }: Buffers, make: Make<E>,
): Promise<Compiled<E>> {
  const activations = PRECISION || 'f32';
  const mode = { training: true, checkpointing: TRAIN.USE_CHECKPOINT, activations } as const;
  const pass = (): { total: Tensor; perTask: Tensor[] } => {
    const { logits } = forward(store, inputs.image, mode);
    const losses = multiTaskLoss(logits, inputs.labels, logVariancesOf(store));
    const seed = scaling && scaledSeed(scaling);
    store.placeGradients(backward([[losses.total, seed]]), fresh ?? store.arena.gradients);
    const perTask = [...losses.tasks.values()];
    keep(losses.total, ...perTask);
    return { total: losses.total, perTask };
  };
  const update = (): Tensor => {
    const norm = optimizerStep(gpu, store.arena, skipped, TRAIN, scaling);
    keep(norm);
    return norm;
  };
  if (!fresh) {
    const { executable, result } = await make('training step', () => ({ ...pass(), norm: update() }));
    return { pass: executable, update: executable, ...result };
  }
  const factor = COMPAT.SUM_ACCUMULATED_GRADIENTS ? 1 : 1 / TRAIN.ACCUMULATION_STEPS;
  const first = await make('micro-batch', () => {
    const result = pass();
    sumGradients(gpu, store, fresh, factor);
    return result;
  });
  const last = await make('update', update);
  return { pass: first.executable, update: last.executable, ...first.result, norm: last.result };
}

function runStep(
  { TRAIN }: Config, { inputs }: Buffers, { pass, update }: Compiled,
  batches: readonly HostBatch[], { step, seed, lr }: Parameters<TrainStep['run']>[1],
): Live {
  const micro = TRAIN.ACCUMULATION_STEPS;
  if (batches.length !== micro) {
    throw new Error(`training step: must get ${micro} batches, got ${batches.length}`);
  }
  const corrections = biasCorrections(TRAIN, step + 1);
  let live: Live = {};
  batches.forEach((batch, i) => {
    inputs.write(batch);
    live = { step: step * micro + i, seed, lr, fresh: i === 0, ...corrections };
    pass.run(live);
    if (update !== pass && i === micro - 1) update.run(live);
  });
  return live;
}

function logVariancesOf(store: ParameterStore): Tensor | null {
  return store.has(LOG_VARIANCES) ? store.tensor(LOG_VARIANCES) : null;
}

async function readReport(
  gpu: Gpu, store: ParameterStore, { skipped, scaling }: Buffers, { pass, update, ...kept }: Compiled,
): Promise<StepReport> {
  const tasks = store.spec.tasks.map(({ name }) => name);
  const learned = logVariancesOf(store);
  // both copies are submitted now: no step that is submitted while they are waited for changes them
  const [[total, ...perTask], [norm, count], [scale], [s]] = await Promise.all([
    pass.read([kept.total, ...kept.perTask]), update.read([kept.norm, skipped]),
    update.read(scaling ? [scaling] : []), update.read(learned ? [learned] : []),
  ]);
  gpu.check();
  const value = (bytes: ArrayBuffer | undefined): number => new Float32Array(bytes!)[0]!;
  return {
    total: value(total), gradNorm: value(norm), skipped: new Uint32Array(count!)[0]!,
    lossScale: scale ? lossScaleOf(scale) : null,
    weights: s ? learnedWeights(tasks, new Float32Array(s)) : null,
    tasks: new Map(tasks.map((task, t) => [task, value(perTask[t])])),
  };
}

// the sum over micro-batches lies where the optimizer looks for the gradients
function sumGradients(gpu: Gpu, { arena }: ParameterStore, fresh: GPUBuffer, factor: number): void {
  const most = Math.floor(gpu.limits.maxStorageBufferBindingSize / 256) * 64;
  scope('accumulate', () => {
    for (let at = 0; at < arena.floats; at += most) {
      const count = Math.min(most, arena.floats - at);
      const range = (name: string, buffer: GPUBuffer): Tensor =>
        makeTensor([count], createStorage(name, 4 * count, { buffer, offset: 4 * at }));
      accumulate(range('gradients', arena.gradients), range('micro-batch gradients', fresh), { factor });
    }
  });
}
