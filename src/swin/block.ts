import { gelu, reshape } from '../ops/elementwise.ts';
import { layernorm } from '../ops/layernorm.ts';
import { residual } from '../ops/residual.ts';
import { dropout } from '../ops/dropout.ts';
import { slice } from '../ops/concat.ts';
import { windowAttention } from '../ops/window_attention.ts';
import { scope } from '../gpu/program.ts';
import type { Tensor } from '../autograd/tensor.ts';

/** A linear layer of the last axis: [G, ..., in] to [G', ..., out]. It decides how many streams come out. */
export type Layer = (x: Tensor) => Tensor;

export type Norm = { readonly w: Tensor; readonly b: Tensor };

/** A (shifted-)window attention block. The release's own names of the parts. */
export type Block = {
  readonly norm1: Norm;
  readonly norm2: Norm;
  /** [(2 windowSize − 1)², heads] */
  readonly biasTable: Tensor;
  readonly qkv: Layer;
  readonly proj: Layer;
  readonly fc1: Layer;
  readonly fc2: Layer;
  readonly heads: number;
  readonly windowSize: number;
  readonly shift: number;
  /** Stochastic depth: the chance that a sample's branch is left out. */
  readonly dropPath: number;
  /** Dropout of each branch's output and of the MLP's hidden layer. */
  readonly dropRate: number;
};

export type Mode = {
  readonly training: boolean;
  /** Masks [G, B] of the two residual branches instead of drawn ones, already divided by the kept share. */
  readonly dropPathMasks?: readonly [Tensor, Tensor];
};

/**
 * x₁ = x + proj(attention(norm1(x))), y = x₁ + fc2(gelu(fc1(norm2(x₁)))), each branch under stochastic depth.
 *
 * Streams: `x` is one; as many come out as the layers make. Every stream's first residual is `x`. Where only
 * the MLP makes streams, those have no second residual, as in the release; where it makes none, those of proj
 * end here.
 *
 * @param x [1, B, H, W, C]
 * @returns [G, B, H, W, C]
 */
export function swinBlock(block: Block, x: Tensor, { training, dropPathMasks }: Mode): Tensor {
  const { heads, windowSize, shift, dropPath: rate, dropRate } = block;
  const drop = (t: Tensor): Tensor => dropRate > 0 ? dropout(t, dropRate, { training }) : t;
  const attended = scope('attn', () => {
    const qkv = scope('qkv', () => block.qkv(layernorm(x, block.norm1.w, block.norm1.b)));
    const mixed = windowAttention(qkv, block.biasTable, { heads, windowSize, shift });
    return drop(scope('proj', () => block.proj(mixed)));
  });
  const x1 = residual(x, attended, { rate, training, mask: dropPathMasks?.[0] });
  const out = scope('mlp', () => {
    const hidden = scope('fc1', () => block.fc1(layernorm(x1, block.norm2.w, block.norm2.b)));
    const active = drop(gelu(hidden));
    return drop(scope('fc2', () => block.fc2(active)));
  });
  const [before, after] = [x1.shape[0]!, out.shape[0]!];
  const mask = dropPathMasks?.[1];
  if (after < before) return residual(firstStream(x1), out, { rate, training, mask });
  return residual(x1, out, { rate, training, mask, residualStreams: after > before ? 'shared' : 'all' });
}

/** The shared stream alone: [G, ...] to [1, ...]. */
export function firstStream(x: Tensor): Tensor {
  return x.shape[0] === 1 ? x : slice(x, 0, 0, 1);
}

/** Streams as samples of one stream: [G, B, ...] to [1, G·B, ...], for layers that treat all alike. */
export function foldStreams(x: Tensor): Tensor {
  const [g, b, ...rest] = x.shape as [number, number, ...number[]];
  return g === 1 ? x : reshape(x, [1, g * b, ...rest]);
}
