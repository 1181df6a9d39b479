import { expectShape, size } from '../autograd/shape.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';
import { reshape } from './elementwise.ts';
import { linear } from './matmul.ts';

/**
 * Cuts an image into patches and maps each linearly: a convolution whose stride is its kernel size p.
 *
 * @param image [B, channels, H, W]
 * @param w [E, channels, p, p]
 * @param b [E]
 * @returns tokens [B, H/p, W/p, E]
 */
export function patchEmbed(image: Tensor, w: Tensor, b: Tensor): Tensor {
  const [channels, height, width] = image.shape.slice(1) as [number, number, number];
  const [embed, , p] = w.shape as [number, number, number];
  expectShape('patchEmbed', 'w', w.shape, [embed, channels, p, p]);
  for (const [axis, length] of [['H', height], ['W', width]] as const) {
    if (length % p === 0) continue;
    throw new Error(`patchEmbed: ${axis} = ${length} must be a multiple of the patch size ${p}`);
  }
  return linear(patches(image, p), reshape(w, [embed, channels * p * p]), b);
}

/** x [B, channels, H, W] as [B, H/p, W/p, channels·p·p], the pixels of a patch in the order of the weight. */
function patches(x: Tensor, p: number): Tensor {
  const [images, channels, height, width] = x.shape as [number, number, number, number];
  const [down, across] = [height / p, width / p];
  const y = empty([images, down, across, channels * p * p], 'patches', x.dtype);
  const [items, Item] = p % 4 === 0 ? [p / 4, 'vec4f'] : [p, 'f32'];
  const launch = {
    params: { images, channels, down, across, rows: p, items },
    tuning: { Item }, threads: size(y.shape) / p * items,
  };
  dispatch('patch_embed/forward', { x, y }, launch);
  return record('patches', [x], y, (dy) => {
    const dx = empty(x.shape, 'dx', x.dtype);
    dispatch('patch_embed/backward', { dy, dx }, launch);
    return [dx];
  });
}
