import { expectShape, size } from '../../autograd/shape.ts';
import { record } from '../../autograd/tape.ts';
import { empty, type Tensor } from '../../autograd/tensor.ts';
import { reduceLoss } from './reduction.ts';

/**
 * Mean absolute error of the normalised prediction, over the components that have a label; 0, as is its
 * gradient, where none has.
 *
 * @param logits [B, H, W, 3], of any length
 * @param labels [B, 3, H, W], 255 where there is none
 * @returns []
 */
export function normalsL1(logits: Tensor, labels: Tensor): Tensor {
  const [batch, height, width] = logits.shape as [number, number, number];
  expectShape('normalsL1', 'logits', logits.shape, [batch, height, width, 3]);
  expectShape('normalsL1', 'labels', labels.shape, [batch, 3, height, width]);
  const pixels = size([batch, height, width]);

  const buffers = { x: logits, labels };
  const sizes = { pixels, area: height * width };
  const { loss, totals, backward } = reduceLoss({
    what: `normalsL1 [${logits.shape.join(', ')}]`, kernels: () => ({ file: 'normals_l1', params: sizes }),
    buffers, items: pixels,
  });

  return record('normalsL1', [logits, labels], loss, (dy) => {
    const dx = empty(logits.shape, 'normalsL1 gradient', logits.dtype);
    backward({ ...buffers, saved_totals: totals, dy, dx });
    return [dx, null];
  });
}
