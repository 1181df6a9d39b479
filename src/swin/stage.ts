import { checkpoint } from '../autograd/tape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { scope } from '../gpu/program.ts';
import { dropout } from '../ops/dropout.ts';
import { reshape } from '../ops/elementwise.ts';
import { layernorm } from '../ops/layernorm.ts';
import { mergeNorm } from '../ops/merge_norm.ts';
import { patchEmbed } from '../ops/patch_embed.ts';
import { withNorm, type Norm } from '../ops/residual_norm.ts';
import { firstStream, foldStreams, runBlock, swinBlock } from './block.ts';
import type { Block, Layer, Mode, Tokens } from './block.ts';

export type PatchEmbed = {
  /** [E, channels, p, p] and [E] */
  readonly w: Tensor;
  readonly b: Tensor;
  readonly norm: Norm | null;
  readonly dropRate: number;
};

export type PatchMerging = {
  /** Of the 4C channels of four neighbours. */
  readonly norm: Norm;
  /** 4C to 2C, for one stream of samples. */
  readonly reduction: Layer;
};

export type Stage = {
  readonly blocks: readonly Block[];
  /** None after the last stage. */
  readonly downsample: PatchMerging | null;
};

/** An image [B, channels, H, W] as one stream of tokens [1, B, H/p, W/p, E]. */
export function embedImage({ w, b, norm, dropRate }: PatchEmbed, image: Tensor, { training }: Mode): Tensor {
  const tokens = patchEmbed(image, w, b);
  const normed = norm ? layernorm(tokens, norm.w, norm.b) : tokens;
  const x = reshape(normed, [1, ...normed.shape]);
  return dropRate > 0 ? dropout(x, dropRate, { training }) : x;
}

/**
 * Blocks, each on the shared stream of the one before, then patch merging of every stream.
 *
 * @param x [1, B, H, W, C]
 * @returns [G, B, H/2, W/2, 2C], or [G, B, H, W, C] without patch merging; G as the last block makes it
 */
export function runStage({ blocks, downsample }: Stage, x: Tensor, mode: Mode): Tensor {
  const run = ({ x: tokens, normed }: Tokens, block: Block, index: number): Tokens => {
    const own = firstStream(tokens);
    if (mode.checkpointing) {
      const [y] = checkpoint('block', () => [swinBlock(block, own, mode)]);
      return { x: y!, normed: null };
    }
    const entered = normed ? { x: own, normed } : withNorm(own, block.norm1);
    return runBlock(block, entered, blocks[index + 1]?.norm1 ?? null, mode);
  };
  const { x: y } = blocks.reduce<Tokens>((tokens, block, index) =>
    scope(`blocks.${index}`, () => run(tokens, block, index)), { x, normed: null });
  return downsample ? scope('downsample', () => mergeStreams(downsample, y)) : y;
}

/** Patch merging with the same weights for every stream: [G, B, H, W, C] to [G, B, H/2, W/2, 2C]. */
export function mergeStreams({ norm, reduction }: PatchMerging, x: Tensor): Tensor {
  const merged = mergeNorm(x, norm);
  const y = reduction(foldStreams(merged));
  return reshape(y, [...merged.shape.slice(0, -1), y.shape.at(-1)!]);
}
