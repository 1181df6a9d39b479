import { expectShape, size } from '../autograd/shape.ts';
import { constantTable, empty, type Tensor } from '../autograd/tensor.ts';
import { deferred, recall, recomputable } from '../autograd/recall.ts';
import { record } from '../autograd/tape.ts';
import { dispatch, tracing } from '../gpu/program.ts';
import type { KeepBits } from './dropout.ts';
import { guarded, kernelForm, together } from './kernel_form.ts';
import { biasGradient, gemm, gemms, forms, weightGradient, type Gemm } from './matmul.ts';
import { panelLaunch } from './matmul_panel.ts';
import {
  downGradient, emptyLow, ownInputGradients, projectBack, projectDown, sharedInputGradient, sharedRank,
  sumStreams, upGradient, type Branch, type Job,
} from './mtlora_branches.ts';
import { mtloraTile } from './mtlora_tile.ts';
import { sumsAndProducts } from './stream_sums.ts';
import { takeWaiting, wait } from './waiting_products.ts';

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
  /** Scale of each branch: the factor itself, never divided by the rank. */
  readonly scales: readonly number[];
  /** Whether a task's output includes the shared update (mode `matrixv2`); by default not (mode `matrix`). */
  readonly tasksIncludeShared?: boolean;
};

// operations for an output of a stream up to which many streams of them are rather made again than kept
const CHEAP = 128;

// rows and columns of a thread of kernels/mtlora_linear.wgsl
const PLAIN_TILE = 8;

const PANEL_PARAMS = { batch: 1, y_at: 0, y_batch: 0, bias_batch: 0, scale: 1, accumulate: 0 } as const;

/**
 * The adapted linear layer (eq. 1 and 2 of the paper): y₀ = x₀Wᵀ + b + s₀(v A₀ᵀ)B₀ᵀ and, for each task with a
 * branch, y_t = x₀Wᵀ + b + s_t(v_t A_tᵀ)B_tᵀ. The base product is computed once, from the shared stream. v is
 * the shared input under dropout; v_t is the task's own stream where `x` has one (never dropped), else v.
 *
 * @param x [1, ..., K], or [G, ..., K] with a stream for each task after the shared one
 * @param keep which of the shared stream's elements the branches see, applied as they read; null: all
 * @returns [G, ..., N] with G = 1 + tasks
 */
export function mtloraLinear(
  x: Tensor, keep: KeepBits | null, weights: MtloraWeights, options: MtloraOptions,
): Tensor {
  const { w, bias, a, bt } = weights;
  const job = jobOf(x, keep, weights, options);
  const { m, n, k, rank, ownInputs } = job;
  const streams = options.ranks.length;
  const p = emptyLow(job, 'p', x.dtype);
  gemms(projectDown(job, x, a, p), { apart: [p] });
  const y = empty([streams, ...x.shape.slice(1, -1), n], 'mtlora linear', x.dtype);
  forward(job, x, weights, p, y);

  const output = record('mtloraLinear', [x, w, a, bt, ...(bias ? [bias] : [])], y, (dy) => {
    const { total, dp, dbt } = branchesBackward(job, dy, weights, p, x.requiresGrad);
    const dx = x.requiresGrad ? empty(x.shape, 'mtlora dx', x.dtype) : null;
    if (dx) {
      together(`${nameOf(job)}, backward`, [
        () => inputGradient(job, total, w, dp, a, dx),
        ...dp && ownInputs ? each(ownInputGradients(job, dp, a, dx)) : [],
      ], { apart: [dx] });
    }
    return [
      dx,
      w.requiresGrad ? deferred(x, () => weightGradient(total, recall(x), w, { m, n, k, batch: 1 })) : null,
      a.requiresGrad && dp ? deferred(x, () => {
        const da = empty([rank, k], 'low-rank da');
        wait({ what: `${nameOf(job)}, gradient of A`, jobs: downGradient(job, recall(x), dp, da), y: da });
        return da;
      }) : null,
      dbt,
      ...(bias ? [bias.requiresGrad ? biasGradient(total, bias, m, n) : null] : []),
    ];
  });
  if (2 * (k + rank) > CHEAP * streams) return output;
  return recomputable(output, () => {
    const again = empty(y.shape, 'mtlora linear again', y.dtype);
    forward(job, recall(x), weights, p, again);
    return again;
  });
}

/** What backward begins with, in one launch where it can be: Σ_g dy[g], dP, dBᵀ, and products that wait. */
function branchesBackward(
  job: Job, dy: Tensor, { a, bt }: MtloraWeights, p: Tensor, wantsInput: boolean,
): { total: Tensor; dp: Tensor | null; dbt: Tensor | null } {
  const { m, n, rank, branches } = job;
  const total = branches.length > 1 ? empty([m, n], 'sum of streams', dy.dtype) : dy;
  const dp = rank > 0 && (wantsInput || a.requiresGrad) ? emptyLow(job, 'dp', dy.dtype) : null;
  const dbt = rank > 0 && bt.requiresGrad ? empty([rank, n], 'low-rank dbt') : null;
  const up = dbt ? upGradient(job, dy, total, p, dbt) : [];
  const back = dp ? projectBack(job, dy, total, bt, dp) : [];
  const sums = total === dy ? null : sumsAndProducts(job, back, { dy, total });
  const waiting = branches.length === 1 ? takeWaiting(tracing('mtlora_linear')) : null;
  together(`${nameOf(job)}, backward of the branches${waiting ? `, ${waiting.what}` : ''}`, [
    ...total === dy ? [] : [sums?.body ?? (() => sumStreams(job, dy, total))],
    ...each(sums?.rest ?? back),
    ...each(up),
    ...each(waiting?.jobs ?? []),
  ], { apart: [dp, dbt, waiting?.y ?? null].filter((tensor) => tensor !== null) });
  return { total, dp, dbt };
}

const each = (jobs: readonly Gemm[]): (() => void)[] => jobs.map((job) => () => gemm(job));

function jobOf(x: Tensor, keep: KeepBits | null, { w, a, bt }: MtloraWeights, options: MtloraOptions): Job {
  const { ranks, scales, tasksIncludeShared = false } = options;
  const [n, k] = w.shape as [number, number];
  const inputs = x.shape[0]!;
  const rank = ranks.reduce((sum, r) => sum + r, 0);
  expectShape('mtloraLinear', 'the last axis of x', x.shape.slice(-1), [k]);
  expectShape('mtloraLinear', 'a', a.shape, [rank, k]);
  expectShape('mtloraLinear', 'bt', bt.shape, [rank, n]);
  if (inputs !== 1 && inputs !== ranks.length) {
    throw new Error(`mtloraLinear: x must have 1 or ${ranks.length} streams, got ${inputs}`);
  }
  const m = size(x.shape) / inputs / k;
  if (keep) expectShape('mtloraLinear', 'keep', keep.bits.shape, [Math.ceil(m * k / 32)]);
  const ownInputs = inputs > 1;
  const factor = (g: number): number => keep && !(ownInputs && g > 0) ? keep.factor : 1;
  let at = 0;
  const branches = ranks.map((r, g): Branch => {
    at += r;
    return { at: at - r, rank: r, scale: scales[g]! * factor(g) };
  });
  return { m, n, k, rank, branches, ownInputs, tasksIncludeShared, keep: keep?.bits ?? null };
}

function forward(job: Job, x: Tensor, weights: MtloraWeights, p: Tensor, y: Tensor): void {
  guarded(nameOf(job), () => launchForward(job, x, weights, p, y));
}

const nameOf = ({ m, n, k, branches }: Job): string =>
  `mtloraLinear [${m}, ${k}] · [${k}, ${n}] of ranks ${branches.map(({ rank }) => rank).join(' ')}`;

function launchForward(job: Job, x: Tensor, { w, bias, bt }: MtloraWeights, p: Tensor, y: Tensor): void {
  const { m, n, k, rank, branches, tasksIncludeShared } = job;
  const ranks = branches.map((branch) => branch.rank);
  const flops = 2 * m * n * (k + rank);
  const { gpu } = tracing('mtlora_linear');
  const form = kernelForm(gpu);
  const base = { ...forms(m, n, k).forward(x, w, y), bias };
  const panel = form === 'panel' ? panelLaunch(gpu, base, { ranks, tasksIncludeShared }) : null;
  if (panel) {
    const params = { ...panel.params, ...PANEL_PARAMS, m, n, k, y_row: n, y_stream: m * n };
    const buffers = { a: x, b: w, y, ...(bias ? { bias } : {}), p, bt };
    dispatch('mtlora_panel/forward', buffers, { ...panel, flops, params });
    return;
  }
  const offsets = constantTable(gpu, [...branches.map((branch) => branch.at), rank]);
  const buffers = { x, w, bias: bias ?? w, p, bt, offsets, y };
  const params = {
    m, n, k, rank, streams: branches.length,
    has_bias: Number(bias !== null), include_shared: Number(tasksIncludeShared),
  };
  const tile = form === 'tile' ? mtloraTile(gpu, job, [x, w]) : null;
  if (tile) {
    const { file, ...launch } = tile;
    dispatch(`${file}/forward`, buffers, { ...launch, flops, params });
  } else {
    const threads = Math.ceil(m / PLAIN_TILE) * Math.ceil(n / PLAIN_TILE);
    dispatch('mtlora_linear/forward', buffers, { threads, flops, params });
  }
}

// dx of the shared stream: by panels in one pass, as the forward with dp and A for p and Bᵀ
function inputGradient(job: Job, total: Tensor, w: Tensor, dp: Tensor | null, a: Tensor, dx: Tensor): void {
  const { m, n, k, rank, keep } = job;
  const { gpu } = tracing('mtlora_linear');
  const base = forms(m, n, k).input(total, w, dx);
  const shared = dp ? sharedRank(job) : 0;
  if (shared === 0) {
    gemm(base);
    return;
  }
  const update = { ranks: [shared], row: rank, tasksIncludeShared: false, masked: keep !== null };
  const panel = kernelForm(gpu) === 'panel' && k % 4 === 0 ? panelLaunch(gpu, base, update) : null;
  if (!panel) {
    sharedInputGradient(job, total, w, dp!, a, dx);
    return;
  }
  const params = { ...panel.params, ...PANEL_PARAMS, m, n: k, k: n, y_row: k, y_stream: 0, mask_row: k };
  const buffers = { a: total, b: w, y: dx, p: dp!, bt: a, ...(keep ? { mask: keep } : {}) };
  dispatch('mtlora_panel/forward', buffers, { ...panel, params, flops: 2 * m * k * (n + shared) });
}
