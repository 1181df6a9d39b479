import { expectShape, size } from '../../autograd/shape.ts';
import { record } from '../../autograd/tape.ts';
import { empty, type Tensor } from '../../autograd/tensor.ts';
import { tracing, type Launch } from '../../gpu/program.ts';
import { kernelForm } from '../kernel_form.ts';
import { reduceLoss, type LossKernels } from './reduction.ts';

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
  const kernels = (): LossKernels => {
    const tuning = chooseTile(classes);
    return tuning ? { file: 'cross_entropy_tile', params: { pixels }, tuning }
      : { file: 'cross_entropy', params: { pixels, classes } };
  };
  const { loss, totals, backward } = reduceLoss({
    what: `crossEntropy [${logits.shape.join(', ')}]`, kernels,
    buffers: { x: logits, labels, softmax }, items: pixels, below: new Map([[labels, classes]]),
  });

  return record('crossEntropy', [logits, labels], loss, (dy) => {
    const dx = empty(logits.shape, 'crossEntropy gradient', logits.dtype);
    backward({ x: logits, labels, saved_softmax: softmax, saved_totals: totals, dy, dx });
    return [dx, null];
  });
}

// what every device grants a workgroup
const WORKGROUP_FLOATS = 4096;

/** The tuning of the tile form, where it suits the device and a workgroup's logits fit; else null. */
function chooseTile(classes: number): Launch['tuning'] | null {
  const { gpu } = tracing('crossEntropy');
  const WG = [128, 64, 32].find((threads) => threads * (classes + 1) + 4 * threads <= WORKGROUP_FLOATS);
  if (kernelForm(gpu) !== 'tile' || !WG) return null;
  return { WG, CLASSES: classes, UNROLL: Number(gpu.deviceClass === 'gpu') };
}
