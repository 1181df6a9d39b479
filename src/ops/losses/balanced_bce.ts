import { expectShape, size } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import { lossesOf, type LossJob } from './reduction.ts';

export type BalancedBceOptions = {
  /** Weight of the positives, from 0 to 1; without it, the share of negatives among the batch's pixels. */
  readonly weight?: number;
};

// tells the kernel to balance by the batch
const BY_BATCH = -1;

/**
 * Mean binary cross-entropy in which positives weigh `weight` and negatives 1 − `weight`; every pixel counts.
 * A batch of one kind of pixel, balanced by itself, has loss and gradient 0.
 *
 * @param logits [B, H, W, 1]
 * @param labels [B, H, W]; positive from 0.5 on
 * @returns []
 */
export const balancedBce = (logits: Tensor, labels: Tensor, options: BalancedBceOptions = {}): Tensor =>
  lossesOf([balancedBceJob(logits, labels, options)])[0]!;

/** `balancedBce` to be launched beside others. */
export function balancedBceJob(
  logits: Tensor, labels: Tensor, { weight = BY_BATCH }: BalancedBceOptions = {},
): LossJob {
  expectShape('balancedBce', 'logits', logits.shape, [...labels.shape, 1]);
  const pixels = size(labels.shape);
  const kernels = () => ({ file: 'balanced_bce', params: { pixels, weight } });
  return { op: 'balancedBce', logits, labels, kernels, items: Math.ceil(pixels / 4), below: 2 };
}
