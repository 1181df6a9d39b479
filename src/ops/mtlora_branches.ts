import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';
import { forms, gemm, type Gemm, type Mask } from './matmul.ts';

/** One low-rank branch: its rows in A and Bᵀ, which are its columns in P. */
export type Branch = { readonly at: number; readonly rank: number; readonly scale: number };

export type Job = {
  /** Rows of a stream, outputs, inputs, and the sum of the ranks. */
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly rank: number;
  /** The shared branch first; scales include dropout's factor where the branch reads the dropped input. */
  readonly branches: readonly Branch[];
  /** Whether each task's branch reads a stream of its own. */
  readonly ownInputs: boolean;
  readonly tasksIncludeShared: boolean;
  /** Which elements of the shared input the branches see, as bits; null where nothing is dropped. */
  readonly keep: Tensor | null;
};

/** Consecutive branches that one batched product can serve: of equal rank and scale, from stream `stream`. */
type Run = Branch & { readonly stream: number; readonly count: number };

/** P [M, R] or dP. */
export const emptyLow = ({ m, rank }: Job, name: string, dtype: Tensor['dtype']): Tensor =>
  empty([m, Math.max(1, rank)], `low-rank ${name}`, dtype);

/** P [M, R] = scale · input Aᵀ for every branch, side by side. */
export function projectDown(job: Job, x: Tensor, a: Tensor, p: Tensor): Gemm[] {
  const { m, k, rank, ownInputs } = job;
  return runs(job, ownInputs).map(({ at, rank: r, scale, stream, count }) => ({
    a: inputOf(job, x, stream), b: { tensor: a, at: at * k, row: 1, col: k, batch: r * k },
    y: { tensor: p, at, row: rank, batch: r }, m, n: r, k, batch: count, scale,
    mask: maskOf(job, stream, 'a'),
  }));
}

/** Σ_g dy[g], [M, N]. */
export function sumStreams({ m, n, branches, k, rank }: Job, dy: Tensor, total: Tensor): void {
  const params = { m, n, k, streams: branches.length, rank, has_bias: 0, include_shared: 0 };
  const flops = branches.length * m * n;
  if (m * n % 4 === 0) {
    dispatch('mtlora_linear/sum_streams', { dy, total }, { items: m * n / 4, params, flops });
  } else {
    const single = { dy_single: dy, total_single: total };
    dispatch('mtlora_linear/sum_streams_single', single, { items: m * n, params, flops });
  }
}

/**
 * dP [M, R] = scale · dy B, side by side. Where tasks include the shared update, the shared branch sees the
 * sum of all streams' dy instead of its own.
 */
export function projectBack(job: Job, dy: Tensor, total: Tensor, bt: Tensor, dp: Tensor): Gemm[] {
  const { m, n, rank } = job;
  return runs(job, true).map(({ at, rank: r, scale, stream, count }) => ({
    a: gradientOf(job, dy, total, stream), b: { tensor: bt, at: at * n, row: 1, col: n, batch: r * n },
    y: { tensor: dp, at, row: rank, batch: r }, m, n: r, k: n, batch: count, scale,
  }));
}

/** dBᵀ [R, N] = Pᵀ dy. */
export function upGradient(job: Job, dy: Tensor, total: Tensor, p: Tensor, dbt: Tensor): Gemm[] {
  const { m, n, rank } = job;
  return runs(job, true).map(({ at, rank: r, stream, count }) => ({
    a: { tensor: p, at, row: 1, col: rank, batch: r }, b: gradientOf(job, dy, total, stream),
    y: { tensor: dbt, at: at * n, row: n, batch: r * n }, m: r, n, k: m, batch: count,
  }));
}

/** dA [R, K] = dPᵀ input. */
export function downGradient(job: Job, x: Tensor, dp: Tensor, da: Tensor): Gemm[] {
  const { m, k, rank, ownInputs } = job;
  return runs(job, ownInputs).map(({ at, rank: r, stream, count }) => ({
    a: { tensor: dp, at, row: 1, col: rank, batch: r }, b: inputOf(job, x, stream),
    y: { tensor: da, at: at * k, row: k, batch: r * k }, m: r, n: k, k: m, batch: count,
    mask: maskOf(job, stream, 'b'),
  }));
}

/** The tasks' own dx_t = dP_t A_t, into their streams of dx [G, M, K]. */
export function ownInputGradients(job: Job, dp: Tensor, a: Tensor, dx: Tensor): Gemm[] {
  const { m, k, rank } = job;
  return runs(job, true).filter(({ stream }) => stream > 0).map(({ at, rank: r, stream, count }) => ({
    a: { tensor: dp, at, row: rank, col: 1, batch: r },
    b: { tensor: a, at: at * k, row: k, col: 1, batch: r * k },
    y: { tensor: dx, at: stream * m * k, row: k, batch: m * k },
    m, n: k, k: r, batch: count,
  }));
}

/** dx of the shared stream = total W + keep · (dP A), over the branches that read it: dP's first columns. */
export function sharedInputGradient(
  job: Job, total: Tensor, w: Tensor, dp: Tensor, a: Tensor, dx: Tensor,
): void {
  const { m, n, k, rank } = job;
  gemm(forms(m, n, k).input(total, w, dx));
  const r = sharedRank(job);
  if (r === 0) return;
  gemm({
    a: { tensor: dp, row: rank, col: 1 }, b: { tensor: a, row: k, col: 1 }, y: { tensor: dx, row: k },
    m, n: k, k: r, accumulate: true, mask: maskOf(job, 0, 'y'),
  });
}

/** The rank of all branches that read the shared input. */
export function sharedRank({ ownInputs, branches, rank }: Job): number {
  return ownInputs ? branches[0]!.rank : rank;
}

const isOwn = ({ ownInputs }: Job, stream: number): boolean => ownInputs && stream > 0;

function inputOf(job: Job, x: Tensor, stream: number) {
  const { m, k } = job;
  const own = isOwn(job, stream);
  return { tensor: x, at: own ? stream * m * k : 0, row: k, col: 1, batch: own ? m * k : 0 };
}

function gradientOf({ m, n, tasksIncludeShared }: Job, dy: Tensor, total: Tensor, stream: number) {
  const own = stream > 0 || !tasksIncludeShared;
  return { tensor: own ? dy : total, at: own ? stream * m * n : 0, row: n, col: 1, batch: m * n };
}

function maskOf(job: Job, stream: number, on: Mask['on']): Mask | null {
  return job.keep && !isOwn(job, stream) ? { bits: job.keep, on, row: job.k } : null;
}

/** Merges neighbours: of one input and scale into a taller branch, of several inputs into a batch. */
function runs({ branches }: Job, separate: boolean): Run[] {
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
