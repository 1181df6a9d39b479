import type { Tensor } from '../../autograd/tensor.ts';
import { linears } from '../../ops/matmul.ts';
import { param, pointwise, type Params } from './params.ts';

/**
 * Narrows each stage's features to the decoder's channels: 1×1 convolutions, no bias, for one task or all.
 *
 * @param features of each stage [B, h_i, w_i, c_i], or [T, B, h_i, w_i, c_i]
 * @param params downsample_<i>.weight [d_i, c_i], or [T, d_i, c_i]
 * @returns of each stage [..., h_i, w_i, d_i]
 */
export function downsample(features: readonly Tensor[], params: Params): Tensor[] {
  const weights = features.map((_, i) => pointwise(param('downsampler', params, `downsample_${i}.weight`)));
  return linears(features, weights);
}
