import { evaluate } from '../../autograd/run.ts';
import { lasting, release, write, type Tensor } from '../../autograd/tensor.ts';
import type { Gpu } from '../../gpu/device.ts';
import { forward } from '../../mtlora/model.ts';
import type { Task } from '../../mtlora/spec.ts';
import type { ParameterStore } from '../../mtlora/store.ts';
import { labelTensors, multiTaskLoss } from '../loss.ts';
import { createMeter, type Batch } from '../metrics/index.ts';
import { channelsFirst } from './layout.ts';
import { compareLoss } from './losses.ts';
import type { MicroCase } from './micro.ts';
import { microBatch } from './micro_fill.ts';
import { compareElements, compareNumber, compareSummary, type Check } from './report.ts';

const BOUNDS = { output: 1e-5, loss: 1e-5, score: 1e-4 };

type Computed = {
  readonly shared: Float32Array[];
  /** Of each stage the tasks' streams one after another, or null. */
  readonly streams: (Float32Array | null)[];
  readonly losses: Float32Array[];
  readonly logits: ReadonlyMap<Task, Batch['logits']>;
  readonly shapes: ReadonlyMap<Task, Batch['shape']>;
};

/** Holds stages, outputs, losses and scores in eval mode to a case. */
export async function checkEval(
  gpu: Gpu, name: string, golden: MicroCase, store: ParameterStore,
): Promise<Check[]> {
  const tasks = store.spec.tasks.map((task) => task.name);
  const computed = await compute(gpu, store, tasks);
  const { losses, logits } = computed;
  return [
    ...checkStages(name, golden, tasks, computed),
    ...Object.entries(golden.outputs).flatMap(([task, { first8, sum, abs, l2 }]) => {
      const values = logits.get(task as Task)!;
      return [
        compareSummary(`${name} output ${task}`, values, { sum, abs, l2 }, BOUNDS.output),
        checkFirst(`${name} output ${task} first`, values, first8),
      ];
    }),
    ...[...tasks, 'total'].map((task, i) =>
      compareLoss(`${name} eval loss ${task}`, losses[i]![0]!, golden.eval_loss[task], BOUNDS.loss)),
    ...checkScores(name, golden, store, computed),
  ];
}

// some of the first values cancel nearly, so that their noise is that of the whole tensor
function checkFirst(label: string, values: Float32Array, first: readonly number[]): Check {
  const rms = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
  const limit = BOUNDS.output * rms;
  return compareElements(label, values.subarray(0, first.length), first, { bound: limit, share: 1, limit });
}

async function compute(gpu: Gpu, store: ParameterStore, tasks: readonly Task[]): Promise<Computed> {
  const batch = microBatch(tasks);
  const image = lasting(gpu, 'image', [2, 3, 64, 64], batch.image);
  const labels = labelTensors(gpu, tasks, 2, 64);
  for (const [task, tensor] of labels) write(gpu, tensor, batch.labels[task]!);
  const made: { streams: boolean[]; logits: Tensor[] } = { streams: [], logits: [] };
  try {
    const values = await evaluate(gpu, () => {
      const { stages, logits } = forward(store, image, { training: false, wholeSharedStream: true });
      const { total, tasks: each } = multiTaskLoss(logits, labels);
      made.streams = stages.map((stage) => stage.tasks !== null);
      made.logits = [...logits.values()];
      return [
        ...stages.map(({ shared }) => shared), ...stages.flatMap((stage) => stage.tasks ?? []),
        ...each.values(), total, ...logits.values(),
      ];
    });
    const take = (count: number): Float32Array[] => values.splice(0, count);
    const shared = take(made.streams.length);
    const streams = made.streams.map((own) => own ? take(1)[0]! : null);
    const losses = take(tasks.length + 1);
    const shapes = made.logits.map(({ shape: [b, h, w, c] }) => [b, c, h, w] as unknown as Batch['shape']);
    return {
      shared, streams, losses,
      logits: new Map(tasks.map((task, i) => [task, channelsFirst(values[i]!, made.logits[i]!.shape)])),
      shapes: new Map(tasks.map((task, i) => [task, shapes[i]!])),
    };
  } finally {
    for (const tensor of [image, ...labels.values()]) release(gpu, tensor);
  }
}

// a stage without task streams gives every task its shared one
function checkStages(
  name: string, { stages, full }: MicroCase, tasks: readonly Task[], made: Computed,
): Check[] {
  const streamOf = (stage: number, task: Task): Float32Array => {
    const [own, shared] = [made.streams[stage], made.shared[stage]!];
    const t = tasks.indexOf(task);
    return own ? own.subarray(t * shared.length, (t + 1) * shared.length) : shared;
  };
  const summaries = stages.flatMap((stage, i) => [
    compareSummary(`${name} stage ${i} shared`, made.shared[i]!, stage.shared, BOUNDS.output),
    ...Object.entries(stage.tasks).map(([task, summary]) =>
      compareSummary(`${name} stage ${i} ${task}`, streamOf(i, task as Task), summary, BOUNDS.output)),
  ]);
  if (!full) return summaries;
  const first = stages.length - full.stage_tasks.length;
  return [
    ...summaries,
    ...full.stage_shared.map((values, i) =>
      compareSummary(`${name} stage ${i} shared, all`, made.shared[i]!, { values }, BOUNDS.output)),
    ...full.stage_tasks.flatMap((each, i) => Object.entries(each).map(([task, values]) => {
      const label = `${name} stage ${first + i} ${task}, all`;
      return compareSummary(label, streamOf(first + i, task as Task), { values }, BOUNDS.output);
    })),
    ...Object.entries(full.output_row0).map(([task, values]) =>
      compareSummary(`${name} output ${task} row 0`,
        firstRows(made, task as Task), { values }, BOUNDS.output)),
  ];
}

/** The first row of every channel of the first image. */
function firstRows({ logits, shapes }: Computed, task: Task): number[] {
  const [, channels, height, width] = shapes.get(task)!;
  const values = logits.get(task)!;
  return Array.from({ length: channels }, (_, c) =>
    [...values.subarray(c * height * width, c * height * width + width)]).flat();
}

function checkScores(
  name: string, { metrics }: MicroCase, { spec }: ParameterStore, made: Computed,
): Check[] {
  const { labels } = microBatch(spec.tasks.map((task) => task.name));
  return Object.entries(metrics).flatMap(([each, scores]) => {
    const task = spec.tasks.find((known) => known.name === each)!;
    const meter = createMeter(task, { official: true });
    const [logits, shape] = [made.logits.get(task.name)!, made.shapes.get(task.name)!];
    meter.update({ logits, labels: labels[each]!, shape });
    const got = meter.scores();
    return Object.entries(scores).map(([key, want]) =>
      compareNumber(`${name} ${each} ${key}`, got[key]!, want, BOUNDS.score));
  });
}
