import { gelu, reshape } from '../ops/elementwise.ts';
import { residual } from '../ops/residual.ts';
import { residualNorm, withNorm, type Norm } from '../ops/residual_norm.ts';
import { dropout } from '../ops/dropout.ts';
import { concat, slice, split } from '../ops/concat.ts';
import { windowAttention } from '../ops/window_attention.ts';
import { scope, tracing } from '../gpu/program.ts';
import { ELEMENT_BYTES } from '../gpu/storage.ts';
import { size } from '../autograd/shape.ts';
import type { Tensor } from '../autograd/tensor.ts';

/** A linear layer of the last axis: [G, ..., in] to [G', ..., out]. It decides how many streams come out. */
export type Layer = (x: Tensor) => Tensor;

export type Attention = {
  readonly qkv: Layer;
  readonly proj: Layer;
  /** [(2 windowSize − 1)², heads] */
  readonly biasTable: Tensor;
  readonly heads: number;
  readonly windowSize: number;
  readonly shift: number;
};

export type Mlp = {
  readonly fc1: Layer;
  readonly fc2: Layer;
  /** What fc1 gives of an image's token. */
  readonly hidden: { readonly streams: number; readonly channels: number };
};

/** A (shifted-)window attention block. The release's own names of the parts. */
export type Block = {
  readonly norm1: Norm;
  readonly attn: Attention;
  readonly norm2: Norm;
  readonly mlp: Mlp;
  /** Stochastic depth: the chance that a sample's branch is left out. */
  readonly dropPath: number;
  /** Masks [G, B] of the two branches in place of drawn ones, already divided by the kept share. */
  readonly dropPathMasks?: readonly [Tensor, Tensor] | undefined;
  /** Dropout of each branch's output and of the MLP's hidden layer. */
  readonly dropRate: number;
};

export type Mode = {
  readonly training: boolean;
  /** Keeps only the blocks' inputs for backward, which runs each again: less memory, a second forward. */
  readonly checkpointing?: boolean;
};

/**
 * x₁ = x + attention(norm1(x)), y = x₁ + mlp(norm2(x₁)), each branch under stochastic depth.
 *
 * Streams: `x` is one; as many come out as the layers make. Every stream's first residual is `x`. Where only
 * the MLP makes streams, those have no second residual, as in the release; where it makes none, those of proj
 * end here.
 *
 * @param x [1, B, H, W, C]
 * @returns [G, B, H, W, C]
 */
export function swinBlock(block: Block, x: Tensor, mode: Mode): Tensor {
  return runBlock(block, withNorm(x, block.norm1), null, mode).x;
}

/** A block's tokens, with the norm of them that the next block starts with, where that is known already. */
export type Tokens = { readonly x: Tensor; readonly normed: Tensor | null };

/**
 * As `swinBlock`, for tokens whose norm1 is there. A sum of one stream is normed as it is made: for the MLP,
 * and by `next` for the next block.
 */
export function runBlock(
  block: Block, { x, normed }: Tokens & { readonly normed: Tensor }, next: Norm | null, { training }: Mode,
): Tokens {
  const { norm2, dropPath: rate, dropRate, dropPathMasks } = block;
  const drop = (t: Tensor): Tensor => dropRate > 0 ? dropout(t, dropRate, { training }) : t;
  const mixed = scope('attn', () => drop(attention(block.attn, normed)));
  const options = { rate, training };
  const { x: x1, normed: normed1 } = residualNorm(x, mixed, norm2, { ...options, mask: dropPathMasks?.[0] });
  const out = scope('mlp', () => drop(mlp(block.mlp, normed1, drop)));
  const [before, after] = [x1.shape[0]!, out.shape[0]!];
  const last = { ...options, mask: dropPathMasks?.[1] };
  if (next && before === 1 && after === 1) return residualNorm(x1, out, next, last);
  const y = after < before
    ? residual(firstStream(x1), out, last)
    : residual(x1, out, { ...last, residualStreams: after > before ? 'shared' : 'all' });
  return { x: y, normed: null };
}

/** proj(softmax(q·k / √headDim + bias + mask)·v) of the windows of x [1, B, H, W, C]: [G, B, H, W, C]. */
export function attention({ qkv, proj, biasTable, ...windows }: Attention, x: Tensor): Tensor {
  const projected = scope('qkv', () => qkv(x));
  const mixed = windowAttention(projected, biasTable, windows);
  return scope('proj', () => proj(mixed));
}

/**
 * fc2(drop(gelu(fc1(x)))) of x [G, B, ..., C]: [G', B, ..., C]. Tokens do not see each other, so where the
 * hidden layer of all B images is more than a kernel can be given, some are done after others.
 */
export function mlp(parts: Mlp, x: Tensor, drop: Layer = (t) => t): Tensor {
  const run = (some: Tensor): Tensor => {
    const hidden = scope('fc1', () => parts.fc1(some));
    const active = drop(gelu(hidden));
    return scope('fc2', () => parts.fc2(active));
  };
  const counts = imagesAtOnce(parts, x);
  if (counts.length === 1) return run(x);
  return concat(split(x, 1, counts).map((some, i) => scope(`images.${i}`, () => run(some))), 1);
}

/** How many images go through an MLP together: in as few parts as the device can bind, of about one size. */
function imagesAtOnce({ hidden: { streams, channels } }: Mlp, x: Tensor): number[] {
  const images = x.shape[1]!;
  const bytes = ELEMENT_BYTES[x.dtype] * streams * channels * size(x.shape.slice(2, -1));
  const most = Math.floor(tracing('mlp').gpu.limits.maxStorageBufferBindingSize / bytes);
  if (most < 1) return [images];                 // which is refused, with the tensor's name
  const parts = Math.ceil(images / most);
  const first = (i: number): number => Math.floor(i * images / parts);
  return Array.from({ length: parts }, (_, i) => first(i + 1) - first(i));
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
