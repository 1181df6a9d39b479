import { size } from '../autograd/shape.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';

/** Softmax over the last axis of x [..., length]. */
export function softmax(x: Tensor): Tensor {
  const length = x.shape.at(-1)!;
  const rows = size(x.shape) / length;
  const launch = { params: { rows, length }, workgroups: rows };
  const y = empty(x.shape, 'softmax', x.dtype);
  dispatch('softmax/forward', { x, y }, launch);
  return record('softmax', [x], y, (dy) => {
    const dx = empty(x.shape, 'dx', x.dtype);
    dispatch('softmax/backward', { y, dy, dx }, launch);
    return [dx];
  });
}
