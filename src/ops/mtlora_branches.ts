import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';
import { forms, gemm } from './matmul.ts';

/** One low-rank branch: its rows in A and Bᵀ, which are its columns in P. */
export type Branch = { readonly at: number; readonly rank: number; readonly scale: number };

export type Job = {
  /** Rows of a stream, outputs, inputs, and the sum of the ranks. */
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly rank: number;
  /** The shared branch first. */
  readonly branches: readonly Branch[];
  /** Whether each task's branch reads a stream of its own. */
  readonly ownInputs: boolean;
  readonly tasksIncludeShared: boolean;
};

/** Branches in their order that one batched product can serve: of equal rank and scale, first stream `stream`. */
type Run = Branch & { readonly stream: number; readonly count: number };

export function branchTable(ranks: readonly number[], scales: readonly number[]): Branch[] {
  let at = 0;
  return ranks.map((rank, g) => {
    const branch = { at, rank, scale: scales[g]! };
    at += rank;
    return branch;
  });
}

/** P [M, R] = scale · input Aᵀ for every branch, side by side. */
export function projectDown({ m, k, rank, branches, ownInputs }: Job, x: Tensor, dropped: Tensor | null, a: Tensor): Tensor {
  const p = empty([m, Math.max(1, rank)], 'low-rank p');
  for (const { at, rank: r, scale, stream, count } of runs(branches, ownInputs)) {
    const own = ownInputs && stream > 0;
    gemm({
      a: { tensor: own ? x : dropped ?? x, at: own ? stream * m * k : 0, row: k, col: 1, batch: own ? m * k : 0 },
      b: { tensor: a, at: at * k, row: 1, col: k, batch: r * k },
      y: { tensor: p, at, row: rank, batch: r }, m, n: r, k, batch: count, scale,
    });
  }
  return p;
}

/** Σ_g dy[g], [M, N]. */
export function sumStreams({ m, n, branches, k, rank }: Job, dy: Tensor): Tensor {
  const total = empty([m, n], 'sum of streams');
  const params = { m, n, k, streams: branches.length, rank, has_bias: 0, include_shared: 0 };
  const flops = branches.length * m * n;
  if (m * n % 4 === 0) {
    dispatch('mtlora_linear/sum_streams', { dy, total }, { threads: m * n / 4, params, flops });
  } else {
    dispatch('mtlora_linear/sum_streams_single', { dy_single: dy, total_single: total }, { threads: m * n, params, flops });
  }
  return total;
}

type Saved = {
  x: Tensor; dropped: Tensor | null; a: Tensor; bt: Tensor; w: Tensor; p: Tensor; dy: Tensor; total: Tensor;
};
type LowRankGradients = { dx: Tensor | null; da: Tensor | null; dbt: Tensor | null; dDropped: Tensor | null };

/**
 * All gradients but that of W: dP = scale · dy B, then dx = (Σ dy) W + dP A, dA = dPᵀ input, dBᵀ = Pᵀ dy. Where tasks
 * include the shared update, the shared branch sees Σ dy instead of the shared stream's dy.
 */
export function lowRankBackward(job: Job, saved: Saved): LowRankGradients {
  const { m, n, k, rank, branches, ownInputs, tasksIncludeShared } = job;
  const { x, dropped, a, bt, w, p, dy, total } = saved;
  const needed = x.requiresGrad || (dropped?.requiresGrad ?? false) || a.requiresGrad;
  const dp = needed && rank > 0 ? empty([m, rank], 'low-rank dp') : null;
  const dbt = bt.requiresGrad && rank > 0 ? empty(bt.shape, 'low-rank dbt') : null;
  for (const { at, rank: r, scale, stream, count } of runs(branches, true)) {
    const own = stream > 0 || !tasksIncludeShared;
    const out = { tensor: own ? dy : total, at: own ? stream * m * n : 0, batch: m * n };
    if (dp) {
      gemm({
        a: { ...out, row: n, col: 1 }, b: { tensor: bt, at: at * n, row: 1, col: n, batch: r * n },
        y: { tensor: dp, at, row: rank, batch: r }, m, n: r, k: n, batch: count, scale,
      });
    }
    if (dbt) {
      gemm({
        a: { tensor: p, at, row: 1, col: rank, batch: r }, b: { ...out, row: n, col: 1 },
        y: { tensor: dbt, at: at * n, row: n, batch: r * n }, m: r, n, k: m, batch: count,
      });
    }
  }
  const dx = x.requiresGrad ? empty(x.shape, 'mtlora dx') : null;
  if (dx) gemm(forms(m, n, k).input(total, w, dx));
  const dDropped = dropped?.requiresGrad ? empty(dropped.shape, 'mtlora dv') : null;
  const da = a.requiresGrad && rank > 0 ? empty(a.shape, 'low-rank da') : null;
  let droppedStarted = false;                            // several runs may add to it; the first one sets it
  for (const { at, rank: r, stream, count } of dp ? runs(branches, ownInputs) : []) {
    const own = ownInputs && stream > 0;
    const target = own || !dropped ? dx : dDropped;
    if (target) {
      gemm({
        a: { tensor: dp!, at, row: rank, col: 1, batch: r }, b: { tensor: a, at: at * k, row: k, col: 1, batch: r * k },
        y: { tensor: target, at: own ? stream * m * k : 0, row: k, batch: m * k }, m, n: k, k: r, batch: count,
        accumulate: !own && (target === dx || droppedStarted),
      });
      droppedStarted ||= target === dDropped;
    }
    if (da) {
      gemm({
        a: { tensor: dp!, at, row: 1, col: rank, batch: r },
        b: { tensor: own ? x : dropped ?? x, at: own ? stream * m * k : 0, row: k, col: 1, batch: own ? m * k : 0 },
        y: { tensor: da, at: at * k, row: k, batch: r * k }, m: r, n: k, k: m, batch: count,
      });
    }
  }
  return { dx, da, dbt, dDropped: droppedStarted ? dDropped : null };
}

/** Merges neighbours: of one input and scale into a taller branch, of several inputs into a batch of equal ranks. */
function runs(branches: readonly Branch[], separate: boolean): Run[] {
  const found: Run[] = [];
  branches.forEach((branch, stream) => {
    if (branch.rank === 0) return;
    const last = found.at(-1);
    const alike = last !== undefined && last.scale === branch.scale;
    if (alike && !separate) {
      found[found.length - 1] = { ...last, rank: last.rank + branch.rank };
    } else if (alike && last.stream > 0 && last.rank === branch.rank && last.stream + last.count === stream) {
      found[found.length - 1] = { ...last, count: last.count + 1 };
    } else {
      found.push({ ...branch, stream, count: 1 });
    }
  });
  return found;
}
