import { expectShape } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import { dispatch } from '../../gpu/program.ts';
import { vectorsOf } from './arena.ts';

/** A range of the arena and its state, each [64 · blocks], with flags [blocks] u32. */
export type SgdRange = {
  readonly values: Tensor;
  readonly grads: Tensor;
  readonly momentum: Tensor;
  readonly flags: Tensor;
};

export type SgdOptions = {
  /** Share of the last step's direction that goes on. */
  readonly factor?: number;
  readonly weightDecay?: number;
  /** Largest norm of the gradients; 0 for no limit. */
  readonly clip?: number;
};

/**
 * One step of gradient descent with Nesterov momentum, in place, with the learning rate of `live`. A norm
 * that is not finite leaves everything as it is.
 *
 * @param norm [2], of all ranges (see `gradNorm`)
 */
export function sgd(range: SgdRange, norm: Tensor, options: SgdOptions = {}): void {
  const { factor = 0.9, weightDecay = 0.05, clip = 5 } = options;
  const { values, grads, momentum, flags } = range;
  const vectors = vectorsOf('sgd', range);
  expectShape('sgd', 'norm', norm.shape, [2]);

  const params = { vectors, factor, decay: weightDecay, clip };
  const buffers = { values, grads, momentum, flags, norm };
  dispatch('sgd/update', buffers, { params, items: vectors, flops: 36 * vectors });
}
