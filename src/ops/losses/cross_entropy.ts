import { expectShape, size } from '../../autograd/shape.ts';
import { empty, type Tensor } from '../../autograd/tensor.ts';
import { tracing, type Launch } from '../../gpu/program.ts';
import { kernelForm } from '../kernel_form.ts';
import { lossesOf, type LossJob, type LossKernels } from './reduction.ts';

/**
 * Mean negative log-likelihood of the pixels' classes. Where no pixel has a class the loss and its gradient
 * are 0 (the reference code's loss is NaN there); a label that is neither a class nor 255 makes the loss NaN.
 *
 * @param logits [B, H, W, classes]
 * @param labels [B, H, W], whole numbers; 255 where there is none
 * @returns []
 */
export const crossEntropy = (logits: Tensor, labels: Tensor): Tensor =>
  lossesOf([crossEntropyJob(logits, labels)])[0]!;

/** `crossEntropy` to be launched beside others. */
export function crossEntropyJob(logits: Tensor, labels: Tensor): LossJob {
  expectShape('crossEntropy', 'labels', labels.shape, logits.shape.slice(0, 3));
  const pixels = size(labels.shape);
  const classes = logits.shape[3]!;
  const kernels = (): LossKernels => {
    const tuning = chooseTile(classes);
    return tuning ? { file: 'cross_entropy_tile', params: { pixels }, tuning }
      : { file: 'cross_entropy', params: { pixels, classes } };
  };
  const saved = { softmax: empty([pixels, 2], 'softmax normalizer') };
  return { op: 'crossEntropy', logits, labels, kernels, saved, items: pixels, below: classes };
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
