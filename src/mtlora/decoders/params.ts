import { size } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import { reshape } from '../../ops/elementwise.ts';

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
