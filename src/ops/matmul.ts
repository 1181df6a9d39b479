import { expectShape, size } from '../autograd/shape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { deferred, recall } from '../autograd/recall.ts';
import { record, recordMany } from '../autograd/tape.ts';
import { dispatch, tracing } from '../gpu/program.ts';
import { columnSums } from './column_sums.ts';
import { guarded, kernelForm, together, type TogetherOptions } from './kernel_form.ts';
import { panelLaunch } from './matmul_panel.ts';
import { thinLaunch } from './matmul_thin.ts';
import { tileMatmul } from './matmul_tile.ts';

/** A matrix, or a batch of them, inside a tensor: element strides and an offset. */
export type Matrix = {
  readonly tensor: Tensor;
  readonly at?: number;
  readonly row: number;
  readonly col: number;
  readonly batch?: number;
};

export type Gemm = {
  /** [m, k]; `row` strides over m, `col` over k. */
  readonly a: Matrix;
  /** [k, n]; `row` strides over k, `col` over n. */
  readonly b: Matrix;
  /** [m, n], contiguous along n. */
  readonly y: Omit<Matrix, 'col'>;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch?: number;
  /** [n], or [batch, n] where `biasBatch` is n. */
  readonly bias?: Tensor | null;
  readonly biasBatch?: number;
  readonly scale?: number;
  /** Adds to what `y` holds already. */
  readonly accumulate?: boolean;
  readonly mask?: Mask | null;
};

/** Elements of an operand, or of the product before it is added: 0 where their bit is not set. */
export type Mask = {
  /** u32: element i is bit i % 32 of word i / 32. */
  readonly bits: Tensor;
  readonly on: 'a' | 'b' | 'y';
  /** Elements in a row of the mask. */
  readonly row: number;
};

const MASK_ON = { a: 1, b: 2, y: 3 } as const;

// rows and columns of a thread of kernels/matmul.wgsl
const TILE = 8;

// below this a workgroup tile is mostly empty
const TILE_WORTH = 16 ** 3;

/** y = scale · a b (+ bias) (+ y), batched, with any strides, in the form that suits the device. */
export function gemm(job: Gemm): void {
  guarded(nameOf(job), () => launch(job));
}

/** Products that need not wait for each other, but for those that add to what another writes. */
export function gemms(jobs: readonly Gemm[], options: TogetherOptions = {}): void {
  together(jobs.map(nameOf).join(', '), jobs.map((job) => () => gemm(job)), options);
}

const nameOf = ({ m, n, k, batch = 1 }: Gemm): string => `matmul [${batch}, ${m}, ${k}] · [${k}, ${n}]`;

function launch(job: Gemm): void {
  const { gpu } = tracing('matmul');
  const { a, b, y, m, n, k, batch = 1, bias = null, scale = 1, accumulate = false, mask = null } = job;
  const flops = 2 * batch * m * n * k;
  const buffers: Record<string, Tensor> = { a: a.tensor, b: b.tensor, y: y.tensor };
  if (bias) buffers.bias = bias;
  if (mask) buffers.mask = mask.bits;
  const common = {
    m, n, k, batch, y_at: y.at ?? 0, y_batch: y.batch ?? 0, y_row: y.row,
    bias_batch: job.biasBatch ?? 0, scale, accumulate: Number(accumulate),
  };
  const form = kernelForm(gpu);
  const panel = form === 'panel' ? thinLaunch(gpu, job) ?? panelLaunch(gpu, job) : null;
  if (panel) {
    dispatch('matmul_panel/forward', buffers, { ...panel, flops, params: { ...common, ...panel.params } });
    return;
  }
  const strides = {
    ...common, has_bias: Number(bias !== null),
    mask_on: mask ? MASK_ON[mask.on] : 0, mask_row: mask?.row ?? 0,
    a_at: a.at ?? 0, a_batch: a.batch ?? 0, a_row: a.row, a_col: a.col,
    b_at: b.at ?? 0, b_batch: b.batch ?? 0, b_row: b.row, b_col: b.col,
  };
  // a kernel without them binds something there
  const bound = { bias: a.tensor, mask: a.tensor, ...buffers };
  if (form === 'tile' && m * n * k >= TILE_WORTH) {
    tileMatmul(job, bound, strides);
    return;
  }
  const threads = batch * Math.ceil(m / TILE) * Math.ceil(n / TILE);
  dispatch('matmul/forward', bound, { threads, flops, params: strides });
}

/**
 * y = x Wᵀ + b over the last axis, or a batch of such maps.
 *
 * @param x [..., K], or [G, ..., K] where `w` is a batch
 * @param w [N, K] or [G, N, K]; trainable or frozen
 * @param b [N] or [G, N], or null
 * @returns [..., N]
 */
export function linear(x: Tensor, w: Tensor, b: Tensor | null): Tensor {
  const { m, n, k, batch } = sizesOf(x, w);
  const batched = w.shape.length === 3;
  if (b) expectShape('linear', 'b', b.shape, batched ? [batch, n] : [n]);
  const y = empty([...x.shape.slice(0, -1), n], 'linear', x.dtype);
  gemm({ ...forms(m, n, k).forward(x, w, y), batch, bias: b, biasBatch: batched ? n : 0 });
  return record('linear', b ? [x, w, b] : [x, w], y, (dy) => [
    x.requiresGrad ? inputGradient(dy, w, x, { m, n, k, batch }) : null,
    w.requiresGrad ? deferred(x, () => weightGradient(dy, recall(x), w, { m, n, k, batch })) : null,
    ...(b ? [b.requiresGrad ? biasGradient(dy, b, m, n) : null] : []),
  ]);
}

/**
 * Several linear maps without bias, or batches of such: y_i = x_i W_iᵀ.
 *
 * @param xs [..., K_i], or [G, ..., K_i] where that `w` is a batch
 * @param ws [N_i, K_i] or [G, N_i, K_i]
 * @returns [..., N_i] each
 */
export function linears(xs: readonly Tensor[], ws: readonly Tensor[]): Tensor[] {
  const sizes = xs.map((x, i) => sizesOf(x, ws[i]!));
  const ys = xs.map((x, i) => empty([...x.shape.slice(0, -1), sizes[i]!.n], 'linear', x.dtype));
  const jobs = (of: 'forward' | 'input' | 'weight', made: readonly Operands[]): Gemm[] =>
    made.flatMap(([a, b, y], i): Gemm[] => {
      const { m, n, k, batch } = sizes[i]!;
      return a && b && y ? [{ ...forms(m, n, k)[of](a, b, y), batch }] : [];
    });
  gemms(jobs('forward', xs.map((x, i) => [x, ws[i]!, ys[i]!])), { alike: true });
  return recordMany('linear', [...xs, ...ws], ys, (dys) => {
    const dxs = xs.map((x, i) => dys[i] && x.requiresGrad ? empty(x.shape, 'linear dx', x.dtype) : null);
    const dws = ws.map((w, i) => dys[i] && w.requiresGrad ? empty(w.shape, 'linear dw') : null);
    const kept = xs.map((x, i) => dws[i] ? recall(x) : null);
    gemms(jobs('input', dys.map((dy, i) => [dy, ws[i]!, dxs[i]!])), { alike: true });
    // one by one, as their kernels have so many loads that joined ones compile for seconds
    for (const job of jobs('weight', dys.map((dy, i) => [dy, kept[i]!, dws[i]!]))) gemm(job);
    return [...dxs, ...dws];
  });
}

type Operands = readonly [Tensor | null, Tensor | null, Tensor | null];

function sizesOf(x: Tensor, w: Tensor): Sizes {
  const batched = w.shape.length === 3;
  const [n, k] = w.shape.slice(-2) as [number, number];
  const batch = batched ? w.shape[0]! : 1;
  expectShape('linear', 'the last axis of x', x.shape.slice(-1), [k]);
  if (batched) expectShape('linear', 'the first axis of x', x.shape.slice(0, 1), [batch]);
  return { m: size(x.shape) / k / batch, n, k, batch };
}

/** The three products of a linear layer as matrices: x [m, k], w [n, k], y and dy [m, n]. */
export function forms(m: number, n: number, k: number) {
  return {
    /** y = x wᵀ */
    forward: (x: Tensor, w: Tensor, y: Tensor): Gemm => ({
      a: { tensor: x, row: k, col: 1, batch: m * k }, b: { tensor: w, row: 1, col: k, batch: n * k },
      y: { tensor: y, row: n, batch: m * n }, m, n, k,
    }),
    /** dx = dy w */
    input: (dy: Tensor, w: Tensor, dx: Tensor): Gemm => ({
      a: { tensor: dy, row: n, col: 1, batch: m * n }, b: { tensor: w, row: k, col: 1, batch: n * k },
      y: { tensor: dx, row: k, batch: m * k }, m, n: k, k: n,
    }),
    /** dw = dyᵀ x */
    weight: (dy: Tensor, x: Tensor, dw: Tensor): Gemm => ({
      a: { tensor: dy, row: 1, col: n, batch: m * n }, b: { tensor: x, row: k, col: 1, batch: m * k },
      y: { tensor: dw, row: k, batch: n * k }, m: n, n: k, k: m,
    }),
  };
}

type Sizes = { m: number; n: number; k: number; batch: number };

function inputGradient(dy: Tensor, w: Tensor, x: Tensor, { m, n, k, batch }: Sizes): Tensor {
  const dx = empty(x.shape, 'linear dx', x.dtype);
  gemm({ ...forms(m, n, k).input(dy, w, dx), batch });
  return dx;
}

/** dw = dyᵀ x. */
export function weightGradient(dy: Tensor, x: Tensor, w: Tensor, { m, n, k, batch }: Sizes): Tensor {
  const dw = empty(w.shape, 'linear dw');
  gemm({ ...forms(m, n, k).weight(dy, x, dw), batch });
  return dw;
}

/** db[g, n] = Σ_m dy[g, m, n], for dy [g·m, n] and b [n] or [g, n]. */
export function biasGradient(dy: Tensor, b: Tensor, m: number, n: number): Tensor {
  return columnSums(dy, size(b.shape) / n, m, n, b.shape);
}
