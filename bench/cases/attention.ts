import { windowAttention } from '../../src/ops/window_attention.ts';
import { attentionDefinition } from '../../test/support/attention.ts';
import { differentiable, type OpCase } from '../support/op_bench.ts';

/** Side of the token map and heads of Swin-T's stages at 224², without and with shift. */
const SHAPES = [[56, 3, 0], [56, 3, 3], [28, 6, 3], [14, 12, 3], [7, 24, 0], [112, 3, 3]] as const;

export function attentionCases(all: boolean): OpCase[] {
  return SHAPES.slice(0, all ? 6 : 2).map(([side, heads, shift]) => {
    const windows = (side / 7) ** 2;
    const forward = 4 * windows * heads * 49 * 49 * 32;
    return differentiable({
      name: `${windows} windows, ${heads} heads${shift ? ', shifted' : ''}`,
      shapes: [[1, side, side, 96 * heads], [169, heads]], flops: [forward, 3.5 * forward],
      op: (qkv, table) => windowAttention(qkv!, table!, { heads, windowSize: 7, shift }),
      definition: attentionDefinition({
        batch: 1, height: side, width: side, heads, headDim: 32, windowSize: 7, shift,
      }),
    });
  });
}
