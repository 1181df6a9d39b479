import { backward } from '../autograd/tape.ts';
import { lasting, makeTensor, release, write, type Tensor } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import { compile, type Executable } from '../gpu/executable.ts';
import { keep, scope } from '../gpu/program.ts';
import { createStorage } from '../gpu/storage.ts';
import { accumulate } from '../ops/optim/accumulate.ts';
import { forward } from '../mtlora/model.ts';
import type { Task } from '../mtlora/spec.ts';
import type { ParameterStore } from '../mtlora/store.ts';
import type { Config } from './config.ts';
import { labelTensors, multiTaskLoss } from './loss.ts';
import { biasCorrections, optimizerStep } from './optimizer.ts';

export type HostBatch = {
  /** [B, 3, S, S], normalised. */
  readonly image: Float32Array;
  readonly labels: Readonly<Record<string, Float32Array>>;
};

/** What a step tells: losses of its last micro-batch, the gradients' norm before clipping, whether it was left out. */
export type StepReport = {
  readonly total: number;
  readonly tasks: ReadonlyMap<Task, number>;
  readonly gradNorm: number;
  /** Steps left out so far because the norm was not finite. */
  readonly skipped: number;
};

/** A training step, traced, planned and compiled once. */
export type TrainStep = {
  /** Submits forward, backward and, after the last micro-batch, the update; does not wait. */
  run(batches: readonly HostBatch[], at: { step: number; seed: number; lr: number }): void;
  /** Waits for what was submitted and reads the report. */
  report(): Promise<StepReport>;
  readonly programs: readonly Executable[];
  destroy(): void;
};

/** Traces and compiles a training step for a fixed batch size. */
export async function compileTrainStep(
  gpu: Gpu, store: ParameterStore, config: Config, batchSize: number,
): Promise<TrainStep> {
  const tasks = store.spec.tasks.map(({ name }) => name);
  const { imgSize, inChannels } = store.spec;
  const image = lasting(gpu, 'images', [batchSize, inChannels, imgSize, imgSize]);
  const labels = labelTensors(gpu, tasks, batchSize, imgSize);
  const skipped = lasting(gpu, 'skipped steps', [1], [0], 'u32');
  const micro = config.TRAIN.ACCUMULATION_STEPS;
  const fresh = micro > 1 ? gpu.memory.alloc('gradients of a micro-batch', 4 * store.arena.floats) : null;

  const pass = (): { total: Tensor; perTask: Tensor[] } => {
    const { logits } = forward(store, image, { training: true });
    const losses = multiTaskLoss(logits, labels);
    store.placeGradients(backward([[losses.total, null]]), fresh ?? store.arena.gradients);
    const perTask = [...losses.tasks.values()];
    keep(losses.total, ...perTask);
    return { total: losses.total, perTask };
  };
  const update = (): Tensor => {
    const norm = optimizerStep(gpu, store.arena, skipped, config.TRAIN);
    keep(norm);
    return norm;
  };

  let programs: Executable[];
  let read: { losses: Executable; update: Executable; total: Tensor; perTask: Tensor[]; norm: Tensor };
  if (fresh) {
    const factor = config.COMPAT.SUM_ACCUMULATED_GRADIENTS ? 1 : 1 / micro;
    const first = await compile(gpu, 'micro-batch', () => {
      const result = pass();
      sumGradients(gpu, store, fresh, factor);
      return result;
    });
    const last = await compile(gpu, 'update', update);
    programs = [first.executable, last.executable];
    read = { losses: first.executable, update: last.executable, ...first.result, norm: last.result };
  } else {
    const { executable, result } = await compile(gpu, 'training step', () => ({ ...pass(), norm: update() }));
    programs = [executable];
    read = { losses: executable, update: executable, ...result };
  }

  return {
    programs,
    run(batches, { step, seed, lr }) {
      if (batches.length !== micro) throw new Error(`training step: must get ${micro} batches, got ${batches.length}`);
      batches.forEach((batch, i) => {
        write(gpu, image, batch.image);
        for (const task of tasks) write(gpu, labels.get(task)!, batch.labels[task]!);
        const live = { step: step * micro + i, seed, lr, fresh: i === 0, ...biasCorrections(config.TRAIN, step + 1) };
        programs[0]!.run(live);
        if (fresh && i === batches.length - 1) programs[1]!.run(live);
      });
    },
    async report() {
      const [total, ...perTask] = await read.losses.read([read.total, ...read.perTask]);
      const [norm, count] = await read.update.read([read.norm, skipped]);
      gpu.check();
      const value = (bytes: ArrayBuffer | undefined): number => new Float32Array(bytes!)[0]!;
      return {
        total: value(total), gradNorm: value(norm), skipped: new Uint32Array(count!)[0]!,
        tasks: new Map(tasks.map((task, t) => [task, value(perTask[t])])),
      };
    },
    destroy() {
      for (const program of programs) program.destroy();
      for (const tensor of [image, skipped, ...labels.values()]) release(gpu, tensor);
      if (fresh) gpu.memory.free(fresh);
    },
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
