import { expectShape, size } from '../../autograd/shape.ts';
import { record } from '../../autograd/tape.ts';
import { empty, type Tensor } from '../../autograd/tensor.ts';
import { reduceLoss } from './reduction.ts';

/**
 * Mean absolute error over the pixels that have a label. Where none has, the loss and its gradient are 0 (the
 * reference code's loss is NaN there).
 *
 * @param logits [B, H, W, 1]
 * @param labels [B, H, W], 255 where there is none
 * @returns []
 */
export function depthL1(logits: Tensor, labels: Tensor): Tensor {
  expectShape('depthL1', 'logits', logits.shape, [...labels.shape, 1]);
  const pixels = size(labels.shape);

  const vectors = Math.ceil(pixels / 4);
  const buffers = { x: logits, labels };
  const { loss, totals, backward } = reduceLoss({
    what: `depthL1 [${logits.shape.join(', ')}]`, kernels: () => ({ file: 'depth_l1', params: { pixels } }),
    buffers, items: vectors,
  });

  return record('depthL1', [logits, labels], loss, (dy) => {
    const dx = empty(logits.shape, 'depthL1 gradient', logits.dtype);
    backward({ ...buffers, saved_totals: totals, dy, dx });
    return [dx, null];
  });
}
