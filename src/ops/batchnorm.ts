import { expectShape, size, type Shape } from '../autograd/shape.ts';
import { recomputable, record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing } from '../gpu/program.ts';
import { kernelForm } from './kernel_form.ts';
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
  const { tuning, ...sizes } = layout(x.shape, w.shape);
  const depth = x.shape.at(-1)!;
  const shape = w.shape.length === 2 ? [sizes.groups, depth] : [depth];
  for (const [name, tensor] of Object.entries({ w, b, runningMean, runningVar })) {
    expectShape(op, name, tensor.shape, shape);
  }
  if (training && sizes.rows === 1) {
    throw new Error(`${op}: training must have more than one value a channel, got [${x.shape.join(', ')}]`);
  }

  const items = sizes.groups * sizes.channels;
  const parts = (): Tensor => empty([2, sizes.groups, sizes.runs, depth], `${op} parts`);
  const ofStats = { params: { ...sizes, momentum }, tuning };
  const stats = empty([2, ...shape], `${op} stats`);
  if (training) {
    const found = parts();
    dispatch('batchnorm_stats/part', { x, parts: found }, { ...ofStats, threads: items * sizes.runs });
    dispatch('batchnorm_stats/merge', { parts: found, stats }, { ...ofStats, threads: items });
    const running = { running_mean: runningMean, running_var: runningVar };
    dispatch('batchnorm_stats/update', { stats, ...running }, { ...ofStats, threads: items });
  } else {
    const running = { running_mean: runningMean, running_var: runningVar };
    dispatch('batchnorm_stats/load', { stats, ...running }, { ...ofStats, threads: items });
  }
  const params = { ...sizes, eps, relu: Number(op === 'batchnormRelu'), training: Number(training) };
  const launch = { params, tuning, threads: items * sizes.runs };
  const transform = (): Tensor => {
    const y = empty(x.shape, op, x.dtype);
    dispatch('batchnorm/forward', { x, w, b, stats, y }, launch);
    return y;
  };
  const output = record(op, [x, w, b], transform(), (dy) => {
    const affine = w.requiresGrad || b.requiresGrad;
    const [dw, db] = [empty(w.shape, 'dw'), empty(b.shape, 'db')];
    if (affine || training) {
      const sums = parts();
      dispatch('batchnorm/part_sums', { x, w, b, stats, dy, parts: sums }, launch);
      dispatch('batchnorm/merge_sums', { parts: sums, dw, db }, { ...launch, threads: items });
    }
    const dx = x.requiresGrad ? empty(x.shape, 'dx', x.dtype) : null;
    if (dx) dispatch('batchnorm/backward_x', { x, w, b, stats, dy, dw, db, dx }, launch);
    return affine ? [dx, dw, db] : [dx, null, null];
  });
  return recomputable(output, transform);
}

// a run is long enough to pay for its thread, and runs are few enough to be merged by one
const MIN_RUN = 32;
const GPU_RUNS = 256;

/** How kernels see x: [groups, rows, channels] with the rows in runs, channels in items. */
function layout(x: Shape, w: Shape) {
  const depth = x.at(-1)!;
  const groups = w.length === 2 ? x[0]! : 1;
  const rows = size(x) / depth / groups;
  const tile = kernelForm(tracing('batchnorm').gpu) === 'tile';
  const run = Math.max(MIN_RUN, Math.ceil(tile ? rows / GPU_RUNS : Math.sqrt(rows)));
  const { width, tuning } = itemsFor(depth);
  return { groups, rows, channels: depth / width, run, runs: Math.ceil(rows / run), tuning };
}
