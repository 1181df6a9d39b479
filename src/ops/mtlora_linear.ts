import { expectShape, size } from '../autograd/shape.ts';
import { constantTable, empty, type Tensor } from '../autograd/tensor.ts';
import { record } from '../autograd/tape.ts';
import { dispatch, tracing } from '../gpu/program.ts';
import { branchTable, lowRankBackward, projectDown, sumStreams, type Job } from './mtlora_branches.ts';
import { biasGradient, gemm, forms } from './matmul.ts';
import { kernelForm } from './kernel_form.ts';
import { panelLaunch } from './matmul_panel.ts';

export type MtloraWeights = {
  /** [N, K], usually frozen. */
  readonly w: Tensor;
  /** [N] or none. */
  readonly bias: Tensor | null;
  /** [R, K]: A of the shared branch, then of each task, one below the other; R is the sum of the ranks. */
  readonly a: Tensor;
  /** [R, N]: B of the branches, transposed, in the same order. */
  readonly bt: Tensor;
};

export type MtloraOptions = {
  /** Rank of the shared branch, then of each task; tasks may be absent, a rank may be 0. */
  readonly ranks: readonly number[];
  /** Scale of each branch: the factor itself, never divided by the rank (section 1.6 of the release's behaviour). */
  readonly scales: readonly number[];
  /** Whether a task's output includes the shared update (mode `matrixv2`); default no (mode `matrix`, the paper). */
  readonly tasksIncludeShared?: boolean;
};

// BM and BN of kernels/mtlora_tile.wgsl
const TILE_SIDE = 64;

/**
 * The adapted linear layer (eq. 1 and 2 of the paper): y₀ = x₀Wᵀ + b + s₀(v A₀ᵀ)B₀ᵀ and, for each task with a branch,
 * y_t = x₀Wᵀ + b + s_t(v_t A_tᵀ)B_tᵀ. The base product is computed once, from the shared stream. v is the dropped
 * shared input; v_t is the task's own stream where `x` has one, else v.
 *
 * @param x [1, ..., K], or [G, ..., K] with a stream for each task after the shared one
 * @param dropped [1, ..., K], the shared stream after dropout, or null where nothing is dropped
 * @returns [G, ..., N] with G = 1 + tasks
 */
export function mtloraLinear(x: Tensor, dropped: Tensor | null, weights: MtloraWeights, options: MtloraOptions): Tensor {
  const { w, bias, a, bt } = weights;
  const [n, k] = w.shape as [number, number];
  const streams = options.ranks.length;
  const inputs = x.shape[0]!;
  const m = size(x.shape) / inputs / k;
  const rank = options.ranks.reduce((sum, r) => sum + r, 0);
  expectShape('mtloraLinear', 'the last axis of x', x.shape.slice(-1), [k]);
  expectShape('mtloraLinear', 'a', a.shape, [rank, k]);
  expectShape('mtloraLinear', 'bt', bt.shape, [rank, n]);
  if (inputs !== 1 && inputs !== streams) {
    throw new Error(`mtloraLinear: x must have 1 or ${streams} streams, got ${inputs}`);
  }
  if (dropped) expectShape('mtloraLinear', 'dropped', dropped.shape, [1, ...x.shape.slice(1)]);

  const job: Job = {
    m, n, k, rank, ownInputs: inputs > 1, tasksIncludeShared: options.tasksIncludeShared ?? false,
    branches: branchTable(options.ranks, options.scales),
  };
  const p = projectDown(job, x, dropped, a);
  const y = empty([streams, ...x.shape.slice(1, -1), n], 'mtlora linear');
  forward(job, x, weights, p, y);

  const tracked = [x, w, a, bt, ...(dropped ? [dropped] : []), ...(bias ? [bias] : [])];
  return record('mtloraLinear', tracked, y, (dy) => {
    const total = streams > 1 ? sumStreams(job, dy) : dy;
    const { dx, da, dbt, dDropped } = lowRankBackward(job, { x, dropped, a, bt, p, dy, total, w });
    const dw = w.requiresGrad ? empty(w.shape, 'mtlora dw') : null;
    if (dw) gemm(forms(m, n, k).weight(total, x, dw));
    return [
      dx, dw, da, dbt,
      ...(dropped ? [dDropped] : []),
      ...(bias ? [bias.requiresGrad ? biasGradient(total, bias, m, n) : null] : []),
    ];
  });
}

function forward(job: Job, x: Tensor, { w, bias, bt }: MtloraWeights, p: Tensor, y: Tensor): void {
  const { gpu } = tracing('mtlora_linear');
  const { m, n, k, rank, branches, tasksIncludeShared } = job;
  const ranks = branches.map((branch) => branch.rank);
  const flops = 2 * m * n * (k + rank);
  const base = { ...forms(m, n, k).forward(x, w, y), bias };
  const form = kernelForm(gpu);
  const panel = form === 'panel' ? panelLaunch(gpu, base, { ranks, tasksIncludeShared }) : null;
  if (panel) {
    dispatch('mtlora_panel/forward', { a: x, b: w, y, ...(bias ? { bias } : {}), p, bt }, {
      ...panel, flops,
      params: {
        ...panel.params, m, n, k, batch: 1, y_at: 0, y_batch: 0, y_row: n, y_stream: m * n,
        bias_batch: 0, scale: 1, accumulate: 0,
      },
    });
    return;
  }
  const offsets = constantTable(gpu, [...branches.map((branch) => branch.at), rank]);
  const buffers = { x, w, bias: bias ?? w, p, bt, offsets, y };
  const params = {
    m, n, k, rank, streams: branches.length,
    has_bias: Number(bias !== null), include_shared: Number(tasksIncludeShared),
  };
  if (form === 'tile') {
    const workgroups = Math.ceil(m / TILE_SIDE) * Math.ceil(n / TILE_SIDE);
    dispatch('mtlora_tile/forward', buffers, { workgroups, flops, params });
  } else {
    dispatch('mtlora_linear/forward', buffers, { threads: Math.ceil(m / 4) * Math.ceil(n / 4), flops, params });
  }
}
