import { expectShape, size } from '../../autograd/shape.ts';
import { record } from '../../autograd/tape.ts';
import { empty, type Tensor } from '../../autograd/tensor.ts';
import { reduceLoss } from './reduction.ts';

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
export function balancedBce(
  logits: Tensor, labels: Tensor, { weight = BY_BATCH }: BalancedBceOptions = {},
): Tensor {
  expectShape('balancedBce', 'logits', logits.shape, [...labels.shape, 1]);
  const pixels = size(labels.shape);

  const vectors = Math.ceil(pixels / 4);
  const buffers = { x: logits, labels };
  const { loss, totals, backward } = reduceLoss({
    what: `balancedBce [${logits.shape.join(', ')}]`,
    kernels: () => ({ file: 'balanced_bce', params: { pixels, weight } }),
    buffers, items: vectors, below: new Map([[labels, 2]]),
  });

  return record('balancedBce', [logits, labels], loss, (dy) => {
    const dx = empty(logits.shape, 'balancedBce gradient', logits.dtype);
    backward({ ...buffers, saved_totals: totals, dy, dx });
    return [dx, null];
  });
}
