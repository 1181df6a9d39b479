import { expectShape, size } from '../autograd/shape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { withoutGrad } from '../autograd/recall.ts';
import { record } from '../autograd/tape.ts';
import { dispatch } from '../gpu/program.ts';
import { multiply } from './elementwise.ts';
import { columnSums } from './column_sums.ts';

/**
 * y = factor · x, with a factor that lies on the device and may be trained.
 *
 * @param x any shape
 * @param factor [1]
 */
export function scaleBy(x: Tensor, factor: Tensor): Tensor {
  expectShape('scaleBy', 'factor', factor.shape, [1]);
  return record('scaleBy', [x, factor], times(x, factor), (dy) => [
    x.requiresGrad ? times(dy, factor) : null,
    factor.requiresGrad ? withoutGrad(() => columnSums(multiply(dy, x), 1, size(x.shape), 1, [1])) : null,
  ]);
}

function times(x: Tensor, factor: Tensor): Tensor {
  const y = empty(x.shape, 'scaled', x.dtype);
  const count = size(x.shape);
  const launch = { items: Math.ceil(count / 4), params: { count, value: 0 } };
  dispatch('elementwise/scale_by', { a: x, b: factor, y }, launch);
  return y;
}
