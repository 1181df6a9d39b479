import { lasting, type Tensor } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import { scope } from '../gpu/program.ts';
import { param } from '../mtlora/entry.ts';
import type { Pack } from '../mtlora/packing.ts';
import { concat } from '../ops/concat.ts';
import { reshape } from '../ops/elementwise.ts';
import { balancedBceJob } from '../ops/losses/balanced_bce.ts';
import { crossEntropyJob } from '../ops/losses/cross_entropy.ts';
import { depthL1Job } from '../ops/losses/depth_l1.ts';
import { normalsL1Job } from '../ops/losses/normals_l1.ts';
import { lossesOf, type LossJob } from '../ops/losses/reduction.ts';
import { uncertaintyTotal } from '../ops/losses/uncertainty_total.ts';
import { weightedTotal } from '../ops/losses/weighted_total.ts';
import type { Task } from '../mtlora/spec.ts';

/** The weights of the task losses in their sum: those of the release's trainer. */
export const LOSS_WEIGHTS: Readonly<Record<Task, number>> = {
  semseg: 1, human_parts: 2, sal: 5, edge: 50, normals: 10, depth: 1,
};

const EDGE_POSITIVE_WEIGHT = 0.95;

/** Labels of a batch of S × S images: [B, S, S], or [B, 3, S, S] for normals; 255 where there is none. */
export function labelShape(task: Task, batch: number, size: number): number[] {
  return task === 'normals' ? [batch, 3, size, size] : [batch, size, size];
}

/** Lasting tensors that a batch's labels are written to before each step. */
export function labelTensors(
  gpu: Gpu, tasks: readonly Task[], batch: number, size: number,
): Map<Task, Tensor> {
  return new Map(tasks.map((task) => [task, lasting(gpu, `labels ${task}`, labelShape(task, batch, size))]));
}

/** Each task's loss (section 7.1): logits [B, S, S, n] against its labels. @returns [] each */
export function taskLosses(
  logits: ReadonlyMap<Task, Tensor>, labels: ReadonlyMap<Task, Tensor>,
): Map<Task, Tensor> {
  const losses = lossesOf([...logits].map(([task, output]) => jobOf(task, output, labels.get(task)!)));
  return new Map([...logits.keys()].map((task, t) => [task, losses[t]!]));
}

function jobOf(task: Task, logits: Tensor, labels: Tensor): LossJob {
  switch (task) {
    case 'semseg':
    case 'human_parts': return crossEntropyJob(logits, labels);
    case 'sal': return balancedBceJob(logits, labels);
    case 'edge': return balancedBceJob(logits, labels, { weight: EDGE_POSITIVE_WEIGHT });
    case 'normals': return normalsL1Job(logits, labels);
    case 'depth': return depthL1Job(logits, labels);
  }
}

/** Losses of a squared or absolute error, which a Gaussian's σ weighs by ½σ⁻² instead of σ⁻². */
const MEASURED: readonly Task[] = ['normals', 'depth'];

/**
 * What is trained where weights are learned: s = log σ² of each task, started so that tasks weigh what they
 * do where weights are fixed.
 */
export function logVariances(tasks: readonly Task[]): Pack {
  const parts = tasks.map((task, at) => {
    const init = { kind: 'constant', value: -Math.log(LOSS_WEIGHTS[task] / factorOf(task)) } as const;
    const entry = param(`${LOG_VARIANCES}.${task}`, [1], init);
    return { parameter: { ...entry, trainable: true, decay: false }, at, layout: 'plain' as const };
  });
  const kind = { trainable: true, decay: false, dead: false, kind: 'param' } as const;
  return { name: LOG_VARIANCES, shape: [tasks.length], parts, ...kind };
}

export const LOG_VARIANCES = 'loss.log_variance';

const factorOf = (task: Task): number => MEASURED.includes(task) ? 0.5 : 1;

/** The weights that tasks have under learned log-variances. */
export function learnedWeights(tasks: readonly Task[], s: Float32Array): Map<Task, number> {
  return new Map(tasks.map((task, t) => [task, factorOf(task) * Math.exp(-s[t]!)]));
}

export type Losses = { readonly total: Tensor; readonly tasks: ReadonlyMap<Task, Tensor> };

/**
 * Each task's loss and their weighted sum, in the order of the tasks.
 *
 * @param learned [T]: their log-variances, where weights are learned
 */
export function multiTaskLoss(
  logits: ReadonlyMap<Task, Tensor>, labels: ReadonlyMap<Task, Tensor>, learned: Tensor | null = null,
): Losses {
  return scope('losses', () => {
    const tasks = taskLosses(logits, labels);
    const [names, losses] = [[...tasks.keys()], [...tasks.values()]];
    if (!learned) return { tasks, total: weightedTotal(losses, names.map((task) => LOSS_WEIGHTS[task])) };
    const stacked = concat(losses.map((loss) => reshape(loss, [1])), 0);
    const measured = names.map((task) => MEASURED.includes(task));
    return { tasks, total: uncertaintyTotal(stacked, learned, { measured }) };
  });
}
