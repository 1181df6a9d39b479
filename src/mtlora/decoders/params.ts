import { size } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import { batchnormRelu } from '../../ops/batchnorm.ts';
import { concat } from '../../ops/concat.ts';
import { reshape } from '../../ops/elementwise.ts';
import { resizeBilinear } from '../../ops/resize.ts';

/** A head's parameters and running statistics, named as in the release below the head's own name. */
export type Params = Readonly<Record<string, Tensor>>;

export type Mode = { readonly training: boolean };

/** @throws Error where the head has no tensor of that name */
export function param(head: string, params: Params, name: string): Tensor {
  const tensor = params[name];
  if (!tensor) throw new Error(`${head}: no parameter "${name}"`);
  return tensor;
}

/** A 1×1 convolution's weight [..., N, K, 1, 1] as the matrix that it is; a matrix stays as it is. */
export function pointwise(w: Tensor): Tensor {
  const kernel = w.shape.slice(-2);
  return w.shape.length >= 4 && size(kernel) === 1 ? reshape(w, w.shape.slice(0, -2)) : w;
}

/** ReLU of the batch norm of that name. @param x [..., C] */
export function normRelu(head: string, x: Tensor, params: Params, name: string, mode: Mode): Tensor {
  const get = (field: string): Tensor => param(head, params, `${name}.${field}`);
  return batchnormRelu(x, get('weight'), get('bias'), get('running_mean'), get('running_var'), mode);
}

/** All maps [B, h_i, w_i, c_i] at the size of the first, their channels one after another. */
export function joinAtFirst(features: readonly Tensor[]): Tensor {
  const [height, width] = features[0]!.shape.slice(-3, -1) as [number, number];
  return concat(features.map((x) => resizeBilinear(x, height, width)));
}
