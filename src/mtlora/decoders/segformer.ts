import type { Tensor } from '../../autograd/tensor.ts';
import { dropMask } from '../../ops/dropout.ts';
import { multiply } from '../../ops/elementwise.ts';
import { linear } from '../../ops/matmul.ts';
import { pyramidLinear } from '../../ops/pyramid_linear.ts';
import { resizeBilinear } from '../../ops/resize.ts';
import { normRelu, param, pointwise, type Mode, type Params } from './params.ts';

/**
 * SegFormer's head: each map to E channels, all at the size of the first, joined coarsest first and fused.
 *
 * @param features four maps [B, h_i, w_i, c_i]
 * @param params linear_c<i + 1>.proj [E, c_i], linear_fuse.conv [E, 4E], linear_fuse.bn [E],
 *        linear_pred [n, E]; conv_seg is never used
 * @returns [B, h_0, w_0, n]
 */
export function segformerHead(
  features: readonly Tensor[], params: Params, mode: Mode, { dropout = 0.1 } = {},
): Tensor {
  const get = (name: string): Tensor => param('segformer', params, name);
  const maps = features.map((x, i) => {
    const name = `linear_c${i + 1}.proj`;
    return linear(x, get(`${name}.weight`), get(`${name}.bias`));
  });
  const fused = pyramidLinear(maps.toReversed(), pointwise(get('linear_fuse.conv.weight')), null,
    { base: maps.length - 1 });
  const y = normRelu('segformer', fused, params, 'linear_fuse.bn', mode);
  const kept = mode.training ? dropChannels(y, dropout) : y;
  return linear(kept, pointwise(get('linear_pred.weight')), get('linear_pred.bias'));
}

/** Drops whole channels of an image. @param x [B, H, W, C] */
function dropChannels(x: Tensor, rate: number): Tensor {
  if (rate === 0) return x;
  const [images, height, width, channels] = x.shape as [number, number, number, number];
  const mask = dropMask('dropChannels', [images, 1, 1, channels], rate);
  return multiply(x, resizeBilinear(mask, height, width));       // from one pixel: the same for all
}
