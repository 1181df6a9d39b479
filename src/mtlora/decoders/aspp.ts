import type { Tensor } from '../../autograd/tensor.ts';
import { concat } from '../../ops/concat.ts';
import { conv2d } from '../../ops/conv2d.ts';
import { dropout as drop } from '../../ops/dropout.ts';
import { globalAveragePool } from '../../ops/global_average_pool.ts';
import { linear } from '../../ops/matmul.ts';
import { resizeBilinear } from '../../ops/resize.ts';
import { joinAtFirst, normRelu, param, pointwise, type Mode, type Params } from './params.ts';

const DILATIONS = [12, 24, 36];

/**
 * DeepLab's head: atrous spatial pyramid pooling of all maps at the size of the first, a 3×3 convolution.
 *
 * @param features four maps [B, h_i, w_i, c_i], K = Σ c_i
 * @param params 0.convs.<branch> [256, K, …], 0.project [256, 1280, 1, 1], 1 [256, 256, 3, 3], 2 its norm,
 *        4 [n, 256, 1, 1]
 * @returns [B, h_0, w_0, n]
 */
export function asppHead(
  features: readonly Tensor[], params: Params, mode: Mode, { dropout = 0.5 } = {},
): Tensor {
  const weight = (name: string): Tensor => param('aspp', params, `${name}.weight`);
  const norm = (x: Tensor, name: string): Tensor => normRelu('aspp', x, params, name, mode);
  const point = (x: Tensor, name: string): Tensor => linear(x, pointwise(weight(name)), null);
  const x = joinAtFirst(features);
  const [height, width] = x.shape.slice(1, 3) as [number, number];
  const pooled = norm(point(globalAveragePool(x), '0.convs.4.1'), '0.convs.4.2');
  const branches = [
    norm(point(x, '0.convs.0.0'), '0.convs.0.1'),
    ...DILATIONS.map((dilation, i) => {
      const y = conv2d(x, weight(`0.convs.${i + 1}.0`), null, { dilation, padding: dilation });
      return norm(y, `0.convs.${i + 1}.1`);
    }),
    resizeBilinear(pooled, height, width),
  ];
  const projected = norm(point(concat(branches), '0.project.0'), '0.project.1');
  const kept = drop(projected, dropout, mode);
  const y = norm(conv2d(kept, weight('1'), null, { padding: 1 }), '2');
  return linear(y, pointwise(weight('4')), param('aspp', params, '4.bias'));
}
