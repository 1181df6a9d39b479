import { expectShape } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import { dispatch } from '../../gpu/program.ts';
import { vectorsOf } from './arena.ts';

/** A range of the arena and its state, each [64 · blocks], with flags [blocks] u32. */
export type AdamwRange = {
  readonly values: Tensor;
  readonly grads: Tensor;
  readonly expAvg: Tensor;
  readonly expAvgSq: Tensor;
  readonly flags: Tensor;
};

export type AdamwOptions = {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly eps?: number;
  readonly weightDecay?: number;
  /** Largest norm of the gradients; 0 for no limit. */
  readonly clip?: number;
};

/**
 * One step of AdamW, in place, with the learning rate and the bias corrections of `live`. A norm that is not
 * finite leaves everything as it is.
 *
 * @param norm [2], of all ranges (see `gradNorm`)
 */
export function adamw(range: AdamwRange, norm: Tensor, options: AdamwOptions = {}): void {
  const { beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0.05, clip = 5 } = options;
  const { values, grads, expAvg: exp_avg, expAvgSq: exp_avg_sq, flags } = range;
  const vectors = vectorsOf('adamw', range);
  expectShape('adamw', 'norm', norm.shape, [2]);

  const params = { vectors, beta1, beta2, new1: 1 - beta1, new2: 1 - beta2, eps, decay: weightDecay, clip };
  const buffers = { values, grads, exp_avg, exp_avg_sq, flags, norm };
  dispatch('adamw/update', buffers, { params, items: vectors, flops: 56 * vectors });
}
