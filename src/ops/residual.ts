import { expectShape, size } from '../autograd/shape.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch, type Launch } from '../gpu/program.ts';
import { dropMask, expectRate } from './dropout.ts';

export type DropPathOptions = {
  readonly training: boolean;
  /** [G, B]: factors in place of drawn ones. */
  readonly mask?: Tensor;
};

export type ResidualOptions = DropPathOptions & {
  /** Probability that a sample of a stream loses its branch. */
  readonly rate: number;
  /** The streams that get x added: all of them, or the first alone. */
  readonly residualStreams?: 'all' | 'shared';
};

/**
 * Stochastic depth: drops whole samples of a stream with probability `rate` and scales the others by
 * 1 / (1 − `rate`).
 *
 * @param x [G, B, ...]
 */
export function dropPath(x: Tensor, rate: number, options: DropPathOptions): Tensor {
  const mask = maskOf('dropPath', x, rate, options);
  if (!mask) return x;
  return record('dropPath', [x], scaled(x, mask), (dy) => [scaled(dy, mask)]);
}

/**
 * y = x + dropPath(branch), where an x of one stream serves all streams of the branch.
 *
 * @param x [1 or G, B, ...]
 * @param branch [G, B, ...]
 * @returns [G, B, ...]
 */
export function residual(x: Tensor, branch: Tensor, options: ResidualOptions): Tensor {
  const terms = residualOf('residual', x, branch, options);
  const y = empty(branch.shape, 'residual', branch.dtype);
  addResidual(terms, y);
  return record('residual', [x, branch], y, (dy) => [
    residualGradient(terms, dy),
    !branch.requiresGrad ? null : terms.mask ? scaled(dy, terms.mask) : dy,
  ]);
}

/** What a residual adds up: the branch is scaled by `mask` [G, B], x serves the first `residualStreams`. */
export type Terms = {
  readonly x: Tensor; readonly branch: Tensor; readonly mask: Tensor | null; readonly residualStreams: number;
};

/** The terms of a residual, checked; draws the mask of its branch. */
export function residualOf(op: string, x: Tensor, branch: Tensor, options: ResidualOptions): Terms {
  const [streams, ...sample] = branch.shape as [number, ...number[]];
  const shared = options.residualStreams === 'shared';
  expectShape(op, 'x', x.shape, [x.shape[0] === streams && !shared ? streams : 1, ...sample]);
  const mask = maskOf(op, branch, options.rate, options);
  return { x, branch, mask, residualStreams: shared ? 1 : streams };
}

/** y = x + mask · branch, outside of the tape. */
export function addResidual({ x, branch, mask, residualStreams }: Terms, y: Tensor): void {
  if (mask) launch('forward_masked', { x, branch, mask, y }, x, branch, residualStreams);
  else launch('forward', { x, branch, y }, x, branch, residualStreams);
}

/** The gradient of x out of that of the sum. */
export function residualGradient({ x, branch, residualStreams }: Terms, dy: Tensor): Tensor {
  if (!x.requiresGrad || x.shape[0] === branch.shape[0]) return dy;
  const dx = empty(x.shape, 'residual gradient', x.dtype);
  launch('sum_streams', { dy, dx }, x, branch, residualStreams);
  return dx;
}

// [G, B], or null where nothing is dropped
function maskOf(op: string, x: Tensor, rate: number, { training, mask }: DropPathOptions): Tensor | null {
  const shape = x.shape.slice(0, 2);
  expectRate(op, rate);
  if (mask) expectShape(op, 'mask', mask.shape, shape);
  if (!training) return null;
  return mask ?? (rate === 0 ? null : dropMask(op, shape, rate));
}

function scaled(branch: Tensor, mask: Tensor): Tensor {
  const y = empty(branch.shape, 'dropPath', branch.dtype);
  scaleSamples(branch, mask, y);
  return y;
}

/** y = mask · branch, outside of the tape. */
export function scaleSamples(branch: Tensor, mask: Tensor, y: Tensor): void {
  launch('scale', { branch, mask, y }, branch, branch, 0);
}

// by vectors, or by elements where a sample is no whole number of vectors
function launch(
  entry: string, buffers: Readonly<Record<string, Tensor>>, x: Tensor, y: Tensor, residual_streams: number,
): void {
  const inner = size(y.shape.slice(2));
  const width = inner % 4 === 0 ? 4 : 1;
  const stream = size(y.shape.slice(1)) / width;
  const [x_count, y_count] = [size(x.shape) / width, size(y.shape) / width];
  const params = { x_count, y_count, stream, inner: inner / width, residual_streams };
  const options: Launch = { params, items: entry === 'sum_streams' ? stream : y_count };
  dispatch(`residual/${entry}`, buffers, width === 4 ? options : { ...options, tuning: { Value: 'f32' } });
}
