import { size, type Shape } from '../autograd/shape.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing } from '../gpu/program.ts';
import { drawnMask, type Draw } from './drawn_masks.ts';

export type DropoutOptions = { readonly training: boolean };

/**
 * Keeps each element with probability 1 − `rate` and scales it by 1 / (1 − `rate`); outside of training, the
 * identity. The mask is drawn again in backward, not kept.
 *
 * @param x any shape
 */
export function dropout(x: Tensor, rate: number, { training }: DropoutOptions): Tensor {
  expectRate('dropout', rate);
  if (!training || rate === 0) return x;
  const draw = drawOf('dropout', rate);
  return record('dropout', [x], masked(x, draw), (dy) => [masked(dy, draw)]);
}

/** The factors of a random mask, each 1 / (1 − `rate`) with probability 1 − `rate`, else 0: [shape]. */
export function dropMask(op: string, shape: Shape, rate: number): Tensor {
  return drawnMask('factors', op, shape, drawOf(op, rate));
}

/** A drawn mask: bit i % 32 of word i / 32 is set where element i is kept, to be scaled by `factor`. */
export type KeepBits = { readonly bits: Tensor; readonly factor: number };

/** Draws the mask of a dropout that another op applies as it reads. */
export function keepBits(op: string, count: number, rate: number): KeepBits {
  expectRate(op, rate);
  const draw = drawOf(op, rate);
  return { bits: drawnMask('bits', op, [Math.ceil(count / 32)], draw), factor: draw.factor };
}

/** @throws Error `op: rate must be from 0 to below 1, got 1` */
export function expectRate(op: string, rate: number): void {
  if (!(rate >= 0 && rate < 1)) throw new Error(`${op}: rate must be from 0 to below 1, got ${rate}`);
}

// every op that draws has a stream of its own, numbered in the order of the trace
function drawOf(op: string, rate: number): Draw {
  const program = tracing(op);
  const stream = program.randomStreams;
  program.randomStreams += 1;
  return { stream, threshold: Math.min(Math.round(rate * 2 ** 32), 2 ** 32 - 1), factor: 1 / (1 - rate) };
}

function masked(x: Tensor, draw: Draw): Tensor {
  const y = empty(x.shape, 'dropout', x.dtype);
  const count = size(x.shape);
  dispatch('dropout/forward', { x, y }, { params: { count, ...draw }, items: Math.ceil(count / 4) });
  return y;
}
