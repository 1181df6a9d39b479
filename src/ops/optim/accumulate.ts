import { expectShape, size } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import { dispatch } from '../../gpu/program.ts';

/**
 * Adds `factor` · `fresh` to `total` in place; where `live.fresh` is 1, replaces `total` by it.
 *
 * @param total any shape; its padding to whole vec4 becomes 0
 * @param fresh of that shape
 */
export function accumulate(total: Tensor, fresh: Tensor, { factor = 1 } = {}): void {
  expectShape('accumulate', 'fresh', fresh.shape, total.shape);

  const count = size(total.shape);
  const params = { count, factor };
  dispatch('accumulate/add', { total, fresh }, { params, items: Math.ceil(count / 4), flops: 2 * count });
}
