import type { Tensor } from '../../autograd/tensor.ts';
import { conv2d } from '../../ops/conv2d.ts';
import { convTranspose2d } from '../../ops/conv_transpose2d.ts';
import { resizeBilinear } from '../../ops/resize.ts';
import { joinAtFirst, normRelu, param, type Mode, type Params } from './params.ts';

/**
 * Three transposed convolutions of all maps at the size of the first, a 3×3 convolution, two resizes by two.
 *
 * @param features four maps [B, h_i, w_i, c_i], K = Σ c_i
 * @param params deconv_layers.0 [K, 32, 2, 2], .3 and .6 [32, 32, 2, 2], conv_layers.0 [n, 32, 3, 3];
 *        the norm of each has the next number
 * @returns [B, 32·h_0, 32·w_0, n], none below 0: the last norm has a ReLU, too
 */
export function updecoderHead(features: readonly Tensor[], params: Params, mode: Mode): Tensor {
  const get = (name: string): Tensor => param('updecoder', params, name);
  let x = joinAtFirst(features);
  for (const layer of [0, 3, 6]) {
    const wide = convTranspose2d(x, get(`deconv_layers.${layer}.weight`));
    x = normRelu('updecoder', wide, params, `deconv_layers.${layer + 1}`, mode);
  }
  const y = conv2d(x, get('conv_layers.0.weight'), get('conv_layers.0.bias'), { padding: 1 });
  const small = normRelu('updecoder', y, params, 'conv_layers.1', mode);
  return twice(twice(small));
}

function twice(x: Tensor): Tensor {
  const [height, width] = x.shape.slice(1, 3) as [number, number];
  return resizeBilinear(x, 2 * height, 2 * width);
}
