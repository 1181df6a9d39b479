import { size } from '../autograd/shape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { concat, slice } from '../ops/concat.ts';
import { keepBits, type KeepBits } from '../ops/dropout.ts';
import { add } from '../ops/elementwise.ts';
import { layernorm } from '../ops/layernorm.ts';
import { linear } from '../ops/matmul.ts';
import { mtloraLinear } from '../ops/mtlora_linear.ts';
import { scaleBy } from '../ops/scale_by.ts';
import { firstStream, type Layer } from '../swin/block.ts';

/** The low-rank branches of one adapted linear layer, and how they come together (section 1.6). */
export type Adaptation = {
  readonly mode: 'matrix' | 'matrixv2' | 'addition';
  /** [R, in] and [R, out]: the shared branch, unless there is none, then the tasks', see `mtloraLinear`. */
  readonly a: Tensor;
  readonly bt: Tensor;
  /** Rank and scale of each branch; the shared one has rank 0 in mode addition. */
  readonly ranks: readonly number[];
  readonly scales: readonly number[];
  /** Dropout of the shared input of the branches. */
  readonly dropout: number;
  /** [1]: a trainable factor of the shared branch, whose entry in `scales` is then 1. */
  readonly sharedScale?: Tensor | undefined;
  /** [1] each: trainable factors of the tasks' branches. */
  readonly taskScales?: readonly Tensor[] | undefined;
  /** Mode addition: the norm of the sum of the tasks' outputs. */
  readonly norm?: { readonly w: Tensor; readonly b: Tensor } | undefined;
  /** Stands in for the drawn mask of dropout, where a run is to be repeated that another program drew. */
  readonly keep?: KeepBits | undefined;
};

export type Site = {
  readonly w: Tensor;
  readonly bias: Tensor | null;
  readonly adaptation: Adaptation | null;
};

/** What a layer gives of a token. */
export function outputOf({ w, adaptation }: Site): { streams: number; channels: number } {
  return { streams: adaptation?.ranks.length ?? 1, channels: w.shape[0]! };
}

/**
 * A linear layer with its adaptation. A plain or task-agnostic one gives the shared stream only, whatever
 * comes in; one with task branches gives a stream for each task after the shared one.
 */
export function siteLayer({ w, bias, adaptation }: Site, training: boolean): Layer {
  if (!adaptation) return (x) => linear(firstStream(x), w, bias);
  const { mode, a, ranks, scales, norm } = adaptation;
  return (x) => {
    const input = ranks.length === 1 ? firstStream(x) : x;
    const keep = dropoutOf(adaptation, input, training);
    const y = mtloraLinear(input, keep, { w, bias, a, bt: scaledBt(adaptation) }, {
      ranks, scales, tasksIncludeShared: mode === 'matrixv2',
    });
    return mode === 'addition' ? withSharedSum(y, norm!) : y;
  };
}

function dropoutOf(
  { dropout: rate, keep, ranks }: Adaptation, x: Tensor, training: boolean,
): KeepBits | null {
  if (x.shape[0] !== 1 && ranks[0] === 0) return null;    // every branch has its own, undropped input
  if (keep) return keep;
  return training && rate > 0 ? keepBits('dropout', size(x.shape) / x.shape[0]!, rate) : null;
}

// mode addition: shared = base + norm(Σ_t y_t); stream 0 holds the base, as the shared branch has rank 0
function withSharedSum(y: Tensor, norm: { w: Tensor; b: Tensor }): Tensor {
  const tasks = Array.from({ length: y.shape[0]! - 1 }, (_, t) => slice(y, 0, t + 1, 1));
  const sum = tasks.reduce(add);
  return concat([add(firstStream(y), layernorm(sum, norm.w, norm.b)), ...tasks], 0);
}

// a trainable factor multiplies its rows of Bᵀ
function scaledBt({ bt, ranks, sharedScale, taskScales }: Adaptation): Tensor {
  if (!sharedScale && !taskScales) return bt;
  let at = 0;
  const parts = ranks.flatMap((rank, g) => {
    const factor = g === 0 ? sharedScale : taskScales?.[g - 1];
    at += rank;
    if (rank === 0) return [];
    const rows = slice(bt, 0, at - rank, rank);
    return [factor ? scaleBy(rows, factor) : rows];
  });
  return parts.length === 1 ? parts[0]! : concat(parts, 0);
}
