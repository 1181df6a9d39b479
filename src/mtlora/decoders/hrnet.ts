import type { Tensor } from '../../autograd/tensor.ts';
import { linearEach } from '../../ops/linear_each.ts';
import { linear } from '../../ops/matmul.ts';
import { pyramidLinear } from '../../ops/pyramid_linear.ts';
import { normRelu, param, pointwise, type Mode, type Params } from './params.ts';

/** The last layer of a task: tasks differ in outputs, while their other parameters are stacked [T, ...]. */
export type LastLayer = { readonly weight: Tensor; readonly bias: Tensor };

/**
 * HRNet's head: the maps at the first one's size, K = Σ c_i channels, widened to 4K, normalised, projected.
 *
 * @param features four maps [B, h_i, w_i, c_i]
 * @param params last_layer.0 [4K, K], last_layer.1 [4K], last_layer.3 [n, 4K]
 * @returns [B, h_0, w_0, n]
 */
export function hrnetHead(features: readonly Tensor[], params: Params, mode: Mode): Tensor {
  const get = (name: string): Tensor => param('hrnet', params, `last_layer.3.${name}`);
  return linear(hidden(features, params, mode), pointwise(get('weight')), get('bias'));
}

/**
 * The heads of T tasks at once.
 *
 * @param features four maps [T, B, h_i, w_i, c_i]
 * @param params last_layer.0 [T, 4K, K], last_layer.1 [T, 4K]
 * @param last each task's last_layer.3 [n_t, 4K]
 * @returns of each task [B, h_0, w_0, n_t]
 */
export function hrnetHeads(
  features: readonly Tensor[], params: Params, last: readonly LastLayer[], mode: Mode,
): Tensor[] {
  const wide = hidden(features, params, mode);
  return linearEach(wide, last.map(({ weight }) => pointwise(weight)), last.map(({ bias }) => bias));
}

/** ReLU(BN(conv 1×1)) of the maps [T?, B, h_i, w_i, c_i]. @returns [T?, B, h_0, w_0, 4K] */
function hidden(features: readonly Tensor[], params: Params, mode: Mode): Tensor {
  const get = (name: string): Tensor => param('hrnet', params, `last_layer.0.${name}`);
  const wide = pyramidLinear(features, pointwise(get('weight')), get('bias'));
  return normRelu('hrnet', wide, params, 'last_layer.1', mode);
}
