import { expect, test } from 'vitest';
import { expectClose } from '../../../src/autograd/gradcheck.ts';
import { evaluate } from '../../../src/autograd/run.ts';
import { backward } from '../../../src/autograd/tape.ts';
import { lasting, release, trainable, type Tensor } from '../../../src/autograd/tensor.ts';
import { balancedBce } from '../../../src/ops/losses/balanced_bce.ts';
import { crossEntropy } from '../../../src/ops/losses/cross_entropy.ts';
import { depthL1 } from '../../../src/ops/losses/depth_l1.ts';
import { normalsL1 } from '../../../src/ops/losses/normals_l1.ts';
import { weightedTotal } from '../../../src/ops/losses/weighted_total.ts';
import { channelsLast, loadFixture, loadJson } from '../../support/fixtures.ts';
import { useGpu } from '../../support/gpu.ts';

type Case = {
  readonly name: string;
  readonly task?: string;
  readonly tasks?: readonly string[];
  readonly weights?: Readonly<Record<string, number>>;
  readonly loss: Readonly<Record<string, number | 'NaN'>>;
};

const gpu = useGpu();
const LOSSES: Readonly<Record<string, (logits: Tensor, labels: Tensor) => Tensor>> = {
  semseg: crossEntropy,
  human_parts: crossEntropy,
  sal: balancedBce,
  edge: (logits, labels) => balancedBce(logits, labels, { weight: 0.95 }),
  normals: normalsL1,
  depth: depthL1,
};
// torch's own float32 noise on these is 1.5e-7
const LOSS_TOLERANCE = 2e-6;
const GRADIENT_TOLERANCE = 5e-6;

/** The losses and their weighted total, and the logits' gradients. */
async function run(
  { name, weights = {} }: Case, tasks: readonly string[],
): Promise<[losses: Float32Array[], gradients: Float32Array[]]> {
  const { tensor } = loadFixture('losses', name);
  const put = (label: string, shape: readonly number[], data: Float32Array): Tensor =>
    lasting(gpu(), label, shape, data);
  const inputs = tasks.map((task) => {
    const logits = channelsLast(tensor(`in.logits.${task}`));
    const labels = tensor(`in.label.${task}`);
    const shape = task === 'normals' ? labels.shape : labels.shape.filter((_, axis) => axis !== 1);
    return [trainable(put('logits', logits.shape, logits.data)), put('labels', shape, labels.data)] as const;
  });
  try {
    const read = await evaluate(gpu(), () => {
      const losses = inputs.map(([logits, labels], t) => LOSSES[tasks[t]!]!(logits, labels));
      const total = weightedTotal(losses, tasks.map((task) => weights[task] ?? 1));
      const found = backward([[total, null]]);
      return [...losses, total, ...inputs.map(([logits]) => found.get(logits)!)];
    });
    return [read.slice(0, tasks.length + 1), read.slice(tasks.length + 1)];
  } finally {
    for (const tensors of inputs) for (const each of tensors) release(gpu(), each);
  }
}

for (const golden of loadJson<Case[]>('losses', 'cases').filter(({ name }) => !name.startsWith('direct_'))) {
  const tasks = golden.tasks ?? [golden.task!];
  test(`the losses of ${tasks.join(', ')} agree with the reference code on ${golden.name}`, async () => {
    const [losses, gradients] = await run(golden, tasks);
    [...tasks, 'total'].forEach((task, t) => {
      const want = golden.loss[task]!;
      // no pixel has a label: the reference code divides by zero, and its gradient is zero all the same
      if (want === 'NaN' || want === 0) expect(losses[t]![0]).toBe(0);
      else expectClose(`loss of ${task}`, losses[t]!, [want], LOSS_TOLERANCE);
    });
    const { tensor } = loadFixture('losses', golden.name);
    tasks.forEach((task, t) => {
      const want = channelsLast(tensor(`grad.${task}`)).data;
      expectClose(`gradient of ${task}`, gradients[t]!, want, GRADIENT_TOLERANCE);
    });
  });
}
