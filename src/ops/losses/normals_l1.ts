import { expectShape, size } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import { lossesOf, type LossJob } from './reduction.ts';

/**
 * Mean absolute error of the normalised prediction, over the components that have a label; 0, as is its
 * gradient, where none has.
 *
 * @param logits [B, H, W, 3], of any length
 * @param labels [B, 3, H, W], 255 where there is none
 * @returns []
 */
export const normalsL1 = (logits: Tensor, labels: Tensor): Tensor =>
  lossesOf([normalsL1Job(logits, labels)])[0]!;

/** `normalsL1` to be launched beside others. */
export function normalsL1Job(logits: Tensor, labels: Tensor): LossJob {
  const [batch, height, width] = logits.shape as [number, number, number];
  expectShape('normalsL1', 'logits', logits.shape, [batch, height, width, 3]);
  expectShape('normalsL1', 'labels', labels.shape, [batch, 3, height, width]);
  const pixels = size([batch, height, width]);
  const kernels = () => ({ file: 'normals_l1', params: { pixels, area: height * width } });
  return { op: 'normalsL1', logits, labels, kernels, items: pixels };
}
