import { backward } from '../autograd/tape.ts';
import { lasting, makeTensor, release, type Tensor } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import { findNonFinite, type Anomaly } from '../gpu/anomaly.ts';
import { compile, type Executable, type Live } from '../gpu/executable.ts';
import { keep, scope } from '../gpu/program.ts';
import { createStorage } from '../gpu/storage.ts';
import { accumulate } from '../ops/optim/accumulate.ts';
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
};

/** A training step, traced, planned and compiled once. */
export type TrainStep = {
  /** Submits forward, backward and, after the last micro-batch, the update; does not wait. */
  run(batches: readonly HostBatch[], at: { step: number; seed: number; lr: number }): void;
  /** Reads the report of what was submitted so far, and waits for it. */
  report(): Promise<StepReport>;
  /** Runs the forward and backward pass of the last batch again, launch by launch. @returns its first NaN */
  findNonFinite(): Promise<Anomaly | null>;
  readonly programs: readonly Executable[];
  destroy(): void;
};

/** What lies on the device beside the parameters, from step to step. */
type Buffers = {
  readonly inputs: Inputs;
  readonly skipped: Tensor;
  /** Gradients of one micro-batch, where a step sums several. */
  readonly fresh: GPUBuffer | null;
};

/** Without accumulation `pass` and `update` are one program. */
type Compiled = {
  readonly pass: Executable;
  readonly update: Executable;
  readonly total: Tensor;
  readonly perTask: readonly Tensor[];
  readonly norm: Tensor;
};

/** Traces and compiles a training step for a fixed batch size. */
export async function compileTrainStep(
  gpu: Gpu, store: ParameterStore, config: Config, batchSize: number,
): Promise<TrainStep> {
  const micro = config.TRAIN.ACCUMULATION_STEPS;
  const buffers: Buffers = {
    inputs: await new Inputs(gpu, store.spec, batchSize).compile(),
    skipped: lasting(gpu, 'skipped steps', [1], [0], 'u32'),
    fresh: micro > 1 ? gpu.memory.alloc('gradients of a micro-batch', 4 * store.arena.floats) : null,
  };
  const compiled = await compilePrograms(gpu, store, config, buffers);
  const programs = [...new Set([compiled.pass, compiled.update])];
  let last: Live = {};
  return {
    programs,
    run(batches, at) { last = runStep(config, buffers, compiled, batches, at); },
    findNonFinite: () => findNonFinite(gpu, compiled.pass, last),
    report: () => readReport(gpu, store, buffers, compiled),
    destroy() {
      for (const program of programs) program.destroy();
      buffers.inputs.destroy();
      release(gpu, buffers.skipped);
      if (buffers.fresh) gpu.memory.free(buffers.fresh);
    },
  };
}

async function compilePrograms(
  gpu: Gpu, store: ParameterStore, { TRAIN, COMPAT }: Config, { inputs, skipped, fresh }: Buffers,
): Promise<Compiled> {
  const pass = (): { total: Tensor; perTask: Tensor[] } => {
    const { logits } = forward(store, inputs.image, { training: true, checkpointing: TRAIN.USE_CHECKPOINT });
    const losses = multiTaskLoss(logits, inputs.labels, logVariancesOf(store));
    store.placeGradients(backward([[losses.total, null]]), fresh ?? store.arena.gradients);
    const perTask = [...losses.tasks.values()];
    keep(losses.total, ...perTask);
    return { total: losses.total, perTask };
  };
  const update = (): Tensor => {
    const norm = optimizerStep(gpu, store.arena, skipped, TRAIN);
    keep(norm);
    return norm;
  };
  if (!fresh) {
    const { executable, result } = await compile(gpu, 'training step', () => ({ ...pass(), norm: update() }));
    return { pass: executable, update: executable, ...result };
  }
  const factor = COMPAT.SUM_ACCUMULATED_GRADIENTS ? 1 : 1 / TRAIN.ACCUMULATION_STEPS;
  const first = await compile(gpu, 'micro-batch', () => {
    const result = pass();
    sumGradients(gpu, store, fresh, factor);
    return result;
  });
  const last = await compile(gpu, 'update', update);
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
  gpu: Gpu, store: ParameterStore, { skipped }: Buffers, { pass, update, ...kept }: Compiled,
): Promise<StepReport> {
  const tasks = store.spec.tasks.map(({ name }) => name);
  const learned = logVariancesOf(store);
  // both copies are submitted now: no step that is submitted while they are waited for changes them
  const [[total, ...perTask], [norm, count, s]] = await Promise.all([
    pass.read([kept.total, ...kept.perTask]),
    update.read([kept.norm, skipped, ...learned ? [learned] : []]),
  ]);
  gpu.check();
  const value = (bytes: ArrayBuffer | undefined): number => new Float32Array(bytes!)[0]!;
  return {
    total: value(total), gradNorm: value(norm), skipped: new Uint32Array(count!)[0]!,
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
