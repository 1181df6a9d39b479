import { expectShape, size } from '../autograd/shape.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';
import { columnSums } from './column_sums.ts';
import { gemm } from './matmul.ts';

export type ConvOptions = {
  readonly dilation?: number;
  readonly padding?: number;
  /** Bytes of unfolded pixels that may exist at once. */
  readonly columnBytes?: number;
};

/**
 * A convolution of stride 1, as products of its unfolded pixels, some of them at a time. They are not kept:
 * backward unfolds them again.
 *
 * @param x [B, H, W, C]
 * @param w [N, C, kh, kw]
 * @param b [N], or null
 * @returns y [B, H', W', N] where H' = H + 2·padding − dilation·(kh − 1), W' likewise
 */
export function conv2d(x: Tensor, w: Tensor, b: Tensor | null, options: ConvOptions = {}): Tensor {
  const job = jobOf(x, w, options);
  const { n, k, pixels, parts } = job;
  if (b) expectShape('conv2d', 'b', b.shape, [n]);
  const y = empty(job.shape, 'conv2d', x.dtype);
  for (const part of parts) {
    const left = { tensor: unfold(x, job, part), row: k, col: 1 };
    const to = { tensor: y, at: part.first * n, row: n };
    gemm({ a: left, b: { tensor: w, row: 1, col: k }, y: to, m: part.count, n, k, bias: b });
  }

  return record('conv2d', b ? [x, w, b] : [x, w], y, (dy) => {
    const dx = x.requiresGrad ? empty(x.shape, 'dx', x.dtype) : null;
    const dw = w.requiresGrad ? empty(w.shape, 'dw') : null;
    for (const part of parts) {
      if (dx) inputGradient(dx, dy, w, job, part);
      if (dw) weightGradient(dw, dy, x, job, part);
    }
    return [dx, dw, ...(b ? [b.requiresGrad ? columnSums(dy, 1, pixels, n, b.shape) : null] : [])];
  });
}

/** The output pixels [first, first + count). */
type Part = { readonly first: number; readonly count: number };
type Job = ReturnType<typeof jobOf>;

function jobOf(x: Tensor, w: Tensor, { dilation = 1, padding = 0, columnBytes = 2 ** 26 }: ConvOptions) {
  const [n, channels, tall, wide] = w.shape as [number, number, number, number];
  const [images, height, width] = x.shape as [number, number, number];
  expectShape('conv2d', 'x', x.shape, [images, height, width, channels]);
  const outHeight = height + 2 * padding - dilation * (tall - 1);
  const outWidth = width + 2 * padding - dilation * (wide - 1);
  if (outHeight < 1 || outWidth < 1) {
    throw new Error(`conv2d: [${tall}, ${wide}] with dilation ${dilation} must fit [${height}, ${width}]`);
  }
  const k = channels * tall * wide;
  const pixels = images * outHeight * outWidth;
  return {
    n, k, pixels, parts: partsOf(pixels, Math.max(4, columnBytes / (4 * k))),
    shape: [images, outHeight, outWidth, n],
    params: {
      images, height, width, channels, out_height: outHeight, out_width: outWidth,
      tall, wide, dilation, padding,
    },
  };
}

/** Pixels in parts of about `most`, which begin at multiples of four. */
function partsOf(pixels: number, most: number): Part[] {
  const each = 4 * Math.ceil(Math.min(pixels, most) / 4);
  return Array.from({ length: Math.ceil(pixels / each) }, (_, i) =>
    ({ first: i * each, count: Math.min(each, pixels - i * each) }));
}

function unfold(x: Tensor, job: Job, part: Part): Tensor {
  const col = empty([part.count, job.k], 'conv2d columns', x.dtype);
  dispatch('unfold/unfold', { x, col }, launch(part.count * job.params.channels, job, part));
  return col;
}

function inputGradient(dx: Tensor, dy: Tensor, w: Tensor, job: Job, part: Part): void {
  const { n, k } = job;
  const dcol = empty([part.count, k], 'conv2d dcolumns', dy.dtype);
  const left = { tensor: dy, at: part.first * n, row: n, col: 1 };
  gemm({ a: left, b: { tensor: w, row: k, col: 1 }, y: { tensor: dcol, row: k }, m: part.count, n: k, k: n });
  dispatch('unfold/fold', { dcol, dx }, launch(size(dx.shape), job, part));
}

function weightGradient(dw: Tensor, dy: Tensor, x: Tensor, job: Job, part: Part): void {
  const { n, k } = job;
  const left = { tensor: dy, at: part.first * n, row: 1, col: n };
  const right = { tensor: unfold(x, job, part), row: k, col: 1 };
  const accumulate = part.first > 0;
  gemm({ a: left, b: right, y: { tensor: dw, row: k }, m: n, n: k, k: part.count, accumulate });
}

function launch(threads: number, { params }: Job, part: Part) {
  return { threads, params: { ...params, ...part, accumulate: Number(part.first > 0) } };
}
