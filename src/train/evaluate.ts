// Validation: one pass over a split in eval mode, its average losses and every task's scores.
import { keep } from '../gpu/program.ts';
import { compile, planOnly, type Executable } from '../gpu/executable.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Tensor } from '../autograd/tensor.ts';
import type { Batch } from '../data/loader.ts';
import type { Loader } from '../data/loader.ts';
import { forward } from '../mtlora/model.ts';
import type { Task } from '../mtlora/spec.ts';
import type { ParameterStore } from '../mtlora/store.ts';
import type { SheetRow } from './contact_sheet.ts';
import { Inputs } from './inputs.ts';
import { multiTaskLoss } from './loss.ts';
import { createMeter, type Scores } from './metrics/index.ts';
import { sheetRow } from './predictions.ts';
import { channelsFirst } from './verify/layout.ts';

export type Evaluation = {
  readonly images: number;
  /** Means over images. */
  readonly loss: { readonly total: number; readonly tasks: Readonly<Partial<Record<Task, number>>> };
  readonly scores: Readonly<Partial<Record<Task, Scores>>>;
  /** The first images with their labels and predictions, if asked for. */
  readonly rows: readonly SheetRow[];
};

export type EvaluateOptions = {
  /** Reproduces the release's meters, defects included. */
  readonly official?: boolean;
  /** How many images to keep for a contact sheet. */
  readonly rows?: number;
  readonly signal?: AbortSignal;
  readonly onBatch?: (done: number, total: number) => void;
};

type Pass = {
  readonly executable: Executable;
  readonly inputs: Inputs;
  readonly logits: ReadonlyMap<Task, Tensor>;
  readonly losses: readonly Tensor[];
};

/** Evaluation programs over a store's parameters, compiled when first needed: one for each size of batch. */
export class Evaluator {
  readonly #gpu: Gpu;
  readonly #store: ParameterStore;
  readonly #lenders: readonly Executable[];
  readonly #passes = new Map<number, Pass>();

  /** @param lenders programs whose buffers evaluations may use: none of them may run during one */
  constructor(gpu: Gpu, store: ParameterStore, lenders: readonly Executable[] = []) {
    this.#gpu = gpu;
    this.#store = store;
    this.#lenders = lenders;
  }

  /** Runs all batches of the first epoch of `loader`, whose last one may be smaller. */
  async run(loader: Loader, options: EvaluateOptions = {}): Promise<Evaluation> {
    const { official = false, rows: wanted = 0, signal, onBatch } = options;
    const { tasks } = this.#store.spec;
    const meters = tasks.map((task) => createMeter(task, { official }));
    const sums = new Float64Array(1 + tasks.length);
    const rows: SheetRow[] = [];
    let images = 0;
    for (let done = 0; done < loader.batchesPerEpoch;) {
      signal?.throwIfAborted();
      const batch = await loader.next();
      if (batch.epoch > 0) break;                    // no image of the last batches could be read
      done = batch.batch + 1;
      const count = batch.ids.length;
      const { logits, losses } = await this.#predict(batch, count);
      losses.forEach((loss, t) => { sums[t]! += loss * count; });
      tasks.forEach(({ name }, t) => {
        meters[t]!.update({ ...logits.get(name)!, labels: batch.labels[name]! });
      });
      for (let at = 0; at < count && rows.length < wanted; at++) rows.push(sheetRow(batch, logits, at));
      images += count;
      onBatch?.(done, loader.batchesPerEpoch);
    }
    const byTask = <T>(value: (t: number) => T): Partial<Record<Task, T>> =>
      Object.fromEntries(tasks.map(({ name }, t) => [name, value(t)]));
    return {
      images, rows,
      loss: { total: sums[0]! / images, tasks: byTask((t) => sums[1 + t]! / images) },
      scores: byTask((t) => meters[t]!.scores()),
    };
  }

  destroy(): void {
    for (const { executable, inputs } of this.#passes.values()) {
      executable.destroy();
      inputs.destroy();
    }
    this.#passes.clear();
  }

  async #predict(batch: Batch, count: number): Promise<{ logits: Map<Task, Logits>; losses: number[] }> {
    const { executable, inputs, logits, losses } = await this.#pass(count);
    inputs.write(batch);
    executable.run();
    const outputs = await executable.read([...losses, ...logits.values()]);
    const values = outputs.map((bytes) => new Float32Array(bytes));
    const maps = [...logits].map(([task, { shape }], t) => {
      const [images, height, width, channels] = shape as [number, number, number, number];
      const first = channelsFirst(values[losses.length + t]!, shape);
      return [task, { logits: first, shape: [images, channels, height, width] as const }] as const;
    });
    return { logits: new Map(maps), losses: values.slice(0, losses.length).map((value) => value[0]!) };
  }

  async #pass(count: number): Promise<Pass> {
    const known = this.#passes.get(count);
    if (known) return known;
    const inputs = await new Inputs(this.#gpu, this.#store.spec, count).compile();
    const trace = (): ReturnType<typeof traceValidation> => traceValidation(this.#store, inputs);
    const { executable, result } = await compile(this.#gpu, 'validation', trace, this.#lenders);
    const pass = { executable, inputs, ...result };
    this.#passes.set(count, pass);
    return pass;
  }
}

function traceValidation(
  store: ParameterStore, inputs: Inputs,
): Pick<Pass, 'logits' | 'losses'> {
  const { logits } = forward(store, inputs.image, { training: false });
  const { total, tasks } = multiTaskLoss(logits, inputs.labels);
  const losses = [total, ...tasks.values()];
  keep(...losses, ...logits.values());
  return { logits, losses };
}

/** What an evaluation takes, but for the parameters and its batch, which are allocated. */
export function planEvaluation(
  gpu: Gpu, store: ParameterStore, batchSize: number,
): Pick<Executable, 'label' | 'plan'> {
  const inputs = new Inputs(gpu, store.spec, batchSize);
  const label = 'validation';
  return { label, plan: planOnly(gpu, label, () => traceValidation(store, inputs)).plan };
}

/** Raw outputs [B, C, H, W]. */
export type Logits = {
  readonly logits: Float32Array;
  readonly shape: readonly [number, number, number, number];
};
