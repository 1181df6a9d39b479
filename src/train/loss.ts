import { lasting, type Tensor } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import { scope } from '../gpu/program.ts';
import { balancedBce } from '../ops/losses/balanced_bce.ts';
import { crossEntropy } from '../ops/losses/cross_entropy.ts';
import { depthL1 } from '../ops/losses/depth_l1.ts';
import { normalsL1 } from '../ops/losses/normals_l1.ts';
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

/** A task's loss (section 7.1): logits [B, S, S, n] against its labels. @returns [] */
export function taskLoss(task: Task, logits: Tensor, labels: Tensor): Tensor {
  switch (task) {
    case 'semseg':
    case 'human_parts': return crossEntropy(logits, labels);
    case 'sal': return balancedBce(logits, labels);
    case 'edge': return balancedBce(logits, labels, { weight: EDGE_POSITIVE_WEIGHT });
    case 'normals': return normalsL1(logits, labels);
    case 'depth': return depthL1(logits, labels);
  }
}

export type Losses = { readonly total: Tensor; readonly tasks: ReadonlyMap<Task, Tensor> };

/** Each task's loss and their weighted sum, in the order of the tasks. */
export function multiTaskLoss(logits: ReadonlyMap<Task, Tensor>, labels: ReadonlyMap<Task, Tensor>): Losses {
  return scope('losses', () => {
    const tasks = new Map([...logits].map(([task, output]) =>
      [task, taskLoss(task, output, labels.get(task)!)] as const));
    const weights = [...tasks.keys()].map((task) => LOSS_WEIGHTS[task]);
    return { tasks, total: weightedTotal([...tasks.values()], weights) };
  });
}
