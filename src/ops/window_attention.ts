import { expectShape, size } from '../autograd/shape.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';

export type WindowAttention = {
  readonly heads: number;
  /** Side of a window in tokens; H and W must be multiples of it. */
  readonly windowSize: number;
  /** Cyclic shift before windowing, below the window size; 0 for none. */
  readonly shift?: number;
};

// runs of windows whose sums the table's gradient is made of
const MAX_RUNS = 16;

/**
 * Window attention with relative position bias: softmax(q·k / √headDim + bias + mask)·v in every window and head,
 * with the shift, the windows and the mask by index arithmetic.
 *
 * @param qkv [..., H, W, 3C], the last axis (q|k|v, head, head dim)
 * @param biasTable [(2 windowSize − 1)², heads]
 * @returns y [..., H, W, C], every token in its place on the map
 */
export function windowAttention(qkv: Tensor, biasTable: Tensor, options: WindowAttention): Tensor {
  const { params, tuning, shape } = setUp(qkv, biasTable, options);
  const { windows, heads, side, runs } = params;
  const [area, rows] = [side * side, windows * heads * side * side];
  const [y, lse] = [empty(shape, 'attention'), empty([windows, heads, area], 'attention lse')];
  const flops = 4 * rows * area * shape.at(-1)! / heads;
  dispatch('window_attention/forward', { qkv, table: biasTable, y, lse }, { params, tuning, threads: rows, flops });

  return record('windowAttention', [qkv, biasTable], y, (dy) => {
    const [dqkv, delta] = [empty(qkv.shape, 'dqkv'), empty(lse.shape, 'attention delta')];
    const known = { qkv, table: biasTable, lse, delta, dy };
    dispatch('window_attention/backward_q', { ...known, y, dqkv }, { params, tuning, threads: rows, flops: 1.5 * flops });
    dispatch('window_attention/backward_kv', { ...known, dqkv }, { params, tuning, threads: rows, flops: 2 * flops });
    if (!biasTable.requiresGrad) return [dqkv, null];
    const part = empty([runs, heads, area, area], 'dtable parts');
    dispatch('window_attention_table/partial', { ...known, part }, { params, tuning, threads: size(part.shape), flops });
    const dtable = empty(biasTable.shape, 'dtable');
    dispatch('window_attention_table/backward', { part, dtable }, { params, tuning, threads: size(dtable.shape) });
    return [dqkv, dtable];
  });
}

function setUp(qkv: Tensor, biasTable: Tensor, { heads, windowSize: side, shift = 0 }: WindowAttention) {
  const [height, width, wide] = qkv.shape.slice(-3) as [number, number, number];
  const headDim = wide / 3 / heads;
  if (!Number.isInteger(headDim)) {
    throw new Error(`windowAttention: the last axis of qkv must be a multiple of 3 · ${heads} heads, got ${wide}`);
  }
  for (const [axis, length] of [['H', height], ['W', width]] as const) {
    if (length % side !== 0) {
      throw new Error(`windowAttention: ${axis} = ${length} must be a multiple of windowSize = ${side}`);
    }
  }
  if (!(shift >= 0 && shift < side)) {
    throw new Error(`windowAttention: shift must be from 0 to ${side - 1}, got ${shift}`);
  }
  expectShape('windowAttention', 'biasTable', biasTable.shape, [(2 * side - 1) ** 2, heads]);
  const windows = size(qkv.shape.slice(0, -1)) / side ** 2;
  const run = Math.ceil(windows / MAX_RUNS);
  const runs = Math.ceil(windows / run);
  const vectors = headDim % 4 === 0;
  return {
    params: { windows, heads, height, width, side, shift, scale: headDim ** -0.5, run, runs },
    tuning: vectors ? { Item: 'vec4f', WIDTH: 4, ITEMS: headDim / 4 } : { Item: 'f32', WIDTH: 1, ITEMS: headDim },
    shape: [...qkv.shape.slice(0, -1), wide / 3],
  };
}
