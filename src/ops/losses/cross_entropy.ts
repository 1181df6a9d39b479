import { expectShape, size } from '../../autograd/shape.ts';
import { record } from '../../autograd/tape.ts';
import { empty, type Tensor } from '../../autograd/tensor.ts';
import { dispatch } from '../../gpu/program.ts';
import { reduceLoss } from './reduction.ts';

/**
 * Mean negative log-likelihood of the pixels' classes. Where no pixel has a class the loss and its gradient
 * are 0 (the reference code's loss is NaN there); a label that is neither a class nor 255 makes the loss NaN.
 *
 * @param logits [B, H, W, classes]
 * @param labels [B, H, W], whole numbers; 255 where there is none
 * @returns []
 */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  expectShape('crossEntropy', 'labels', labels.shape, logits.shape.slice(0, 3));
  const pixels = size(labels.shape);
  const classes = logits.shape[3]!;

  const softmax = empty([pixels, 2], 'softmax normalizer');
  const sizes = { pixels, classes };
  const { loss, totals, params } = reduceLoss('cross_entropy', { x: logits, labels, softmax }, pixels, sizes);

  return record('crossEntropy', [logits, labels], loss, (dy) => {
    const dx = empty(logits.shape, 'crossEntropy gradient');
    const inputs = { x: logits, labels, saved_softmax: softmax, saved_totals: totals, dy };
    dispatch('cross_entropy/backward', { ...inputs, dx }, { params, threads: pixels });
    return [dx, null];
  });
}
