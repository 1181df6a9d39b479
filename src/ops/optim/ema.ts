import { expectShape, size } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import { dispatch } from '../../gpu/program.ts';

/**
 * Moves averages of parameters towards them, in place, by 1 − `decay`; in the first updates by more: after
 * update t, counted from 0 by `live.step`, by at least 9 / (10 + t).
 *
 * @param values [4 · vectors]
 * @param averages of that shape
 */
export function ema(values: Tensor, averages: Tensor, { decay = 0.9999, micro = 1 } = {}): void {
  expectShape('ema', 'averages', averages.shape, values.shape);
  const vectors = size(values.shape) / 4;
  if (!Number.isInteger(vectors)) {
    throw new Error(`ema: values must be whole vec4, got [${values.shape.join(', ')}]`);
  }

  const params = { vectors, share: 1 - decay, micro };
  dispatch('ema/update', { values, averages }, { params, items: vectors, flops: 12 * vectors });
}
