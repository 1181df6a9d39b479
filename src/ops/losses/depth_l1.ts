import { expectShape, size } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import { lossesOf, type LossJob } from './reduction.ts';

/**
 * Mean absolute error over the pixels that have a label. Where none has, the loss and its gradient are 0 (the
 * reference code's loss is NaN there).
 *
 * @param logits [B, H, W, 1]
 * @param labels [B, H, W], 255 where there is none
 * @returns []
 */
export const depthL1 = (logits: Tensor, labels: Tensor): Tensor => lossesOf([depthL1Job(logits, labels)])[0]!;

/** `depthL1` to be launched beside others. */
export function depthL1Job(logits: Tensor, labels: Tensor): LossJob {
  expectShape('depthL1', 'logits', logits.shape, [...labels.shape, 1]);
  const pixels = size(labels.shape);
  const kernels = () => ({ file: 'depth_l1', params: { pixels } });
  return { op: 'depthL1', logits, labels, kernels, items: Math.ceil(pixels / 4) };
}
