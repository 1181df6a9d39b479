import { expectShape, size, type Shape } from '../autograd/shape.ts';
import { recomputable } from '../autograd/recall.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing } from '../gpu/program.ts';
import { guarded, kernelForm } from './kernel_form.ts';
import { itemsFor } from './vectorise.ts';

export type BatchnormOptions = {
  /** By the batch's own statistics, which also move the running ones; else by the running ones. */
  readonly training: boolean;
  readonly momentum?: number;
  readonly eps?: number;
};

/**
 * Normalises each channel over all rows, then scales and shifts it.
 *
 * @param x [..., C], or [T, ..., C] where `w` is [T, C]: then each of the T has statistics of its own
 * @param w [C] or [T, C]
 * @param b as `w`
 * @param runningMean as `w`, lasting; training moves it towards the batch's mean
 * @param runningVar as `w`, lasting; training moves it towards the batch's unbiased variance
 * @returns y [..., C]
 */
export function batchnorm(
  x: Tensor, w: Tensor, b: Tensor, runningMean: Tensor, runningVar: Tensor, options: BatchnormOptions,
): Tensor {
  return normalise('batchnorm', { x, w, b, runningMean, runningVar }, options);
}

/** max(batchnorm(x), 0), without storing what relu cuts off. */
export function batchnormRelu(
  x: Tensor, w: Tensor, b: Tensor, runningMean: Tensor, runningVar: Tensor, options: BatchnormOptions,
): Tensor {
  return normalise('batchnormRelu', { x, w, b, runningMean, runningVar }, options);
}

type Inputs = Readonly<Record<'x' | 'w' | 'b' | 'runningMean' | 'runningVar', Tensor>>;

function normalise(op: 'batchnorm' | 'batchnormRelu', inputs: Inputs, options: BatchnormOptions): Tensor {
  const { training, momentum = 0.1, eps = 1e-5 } = options;
  const { x, w, b, runningMean, runningVar } = inputs;
  const depth = x.shape.at(-1)!;
  const groups = w.shape.length === 2 ? x.shape[0]! : 1;
  const shape = w.shape.length === 2 ? [groups, depth] : [depth];
  for (const [name, tensor] of Object.entries({ w, b, runningMean, runningVar })) {
    expectShape(op, name, tensor.shape, shape);
  }
  if (training && size(x.shape) === groups * depth) {
    throw new Error(`${op}: training must have more than one value a channel, got [${x.shape.join(', ')}]`);
  }

  const what = `${op} [${x.shape.join(', ')}]`;
  const job = { groups, depth, training, momentum, eps, relu: Number(op === 'batchnormRelu') };
  const stats = empty([2, ...shape], `${op} stats`);
  const findStats = (): void => statistics(job, inputs, stats);
  // a variance is not negative
  const trial = { before: findStats, below: new Map([[runningVar, 8]]) };
  guarded(`${what}, statistics`, findStats, { below: trial.below });
  const transform = (): Tensor => {
    const y = empty(x.shape, op, x.dtype);
    guarded(what, () => {
      const { launch } = layout(job, x.shape);
      dispatch('batchnorm/forward', { x, w, b, stats, y }, launch);
    }, trial);
    return y;
  };
  const output = record(op, [x, w, b], transform(), (dy) => {
    const affine = w.requiresGrad || b.requiresGrad;
    const [dw, db] = [empty(w.shape, 'dw'), empty(b.shape, 'db')];
    const dx = x.requiresGrad ? empty(x.shape, 'dx', x.dtype) : null;
    guarded(`${what}, backward`, () => {
      const { launch, items, parts } = layout(job, x.shape);
      if (affine || training) {
        const sums = empty(parts, `${op} parts`);
        dispatch('batchnorm/part_sums', { x, w, b, stats, dy, parts: sums }, launch);
        dispatch('batchnorm/merge_sums', { parts: sums, dw, db }, { ...launch, threads: items });
      }
      if (dx) dispatch('batchnorm/backward_x', { x, w, b, stats, dy, dw, db, dx }, launch);
    }, trial);
    return affine ? [dx, dw, db] : [dx, null, null];
  });
  return recomputable(output, transform);
}

type Job = {
  readonly groups: number; readonly depth: number; readonly training: boolean;
  readonly momentum: number; readonly eps: number; readonly relu: number;
};

/** Mean and 1/std of each channel; of the batch, which moves the running ones, or those. */
function statistics(job: Job, { x, runningMean, runningVar }: Inputs, stats: Tensor): void {
  const { ofStats, items, parts } = layout(job, x.shape);
  const running = { running_mean: runningMean, running_var: runningVar };
  if (!job.training) {
    dispatch('batchnorm_stats/load', { stats, ...running }, { ...ofStats, threads: items });
    return;
  }
  const found = empty(parts, 'batchnorm parts');
  dispatch('batchnorm_stats/part', { x, parts: found }, ofStats);
  dispatch('batchnorm_stats/merge', { parts: found, stats, ...running }, { ...ofStats, threads: items });
}

// a run is long enough to pay for its thread, and runs are few enough to be merged by one
const MIN_RUN = 32;
const GPU_RUNS = 256;

/** How kernels see x: [groups, rows, channels] with the rows in runs, channels in items. */
function layout({ groups, depth, training, momentum, eps, relu }: Job, x: Shape) {
  const rows = size(x) / depth / groups;
  const tile = kernelForm(tracing('batchnorm').gpu) === 'tile';
  const run = Math.max(MIN_RUN, Math.ceil(tile ? rows / GPU_RUNS : Math.sqrt(rows)));
  const { width, tuning } = itemsFor(depth);
  const sizes = { groups, rows, channels: depth / width, run, runs: Math.ceil(rows / run) };
  const items = groups * sizes.channels;
  const threads = items * sizes.runs;
  return {
    items,
    /** The shape of what the runs leave. */
    parts: [2, groups, sizes.runs, depth],
    ofStats: { params: { ...sizes, momentum }, tuning, threads },
    launch: { params: { ...sizes, eps, relu, training: Number(training) }, tuning, threads },
  };
}
