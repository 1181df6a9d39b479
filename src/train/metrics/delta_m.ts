// Δm = 100 / |T| · Σ_t ± (M_t − S_t) / S_t: how much better than single-task models, in per cent.
import type { Task } from '../../mtlora/spec.ts';
import type { Scores } from './meter.ts';

/** What counts as a task's score, and whether more of it is better. */
export const TASK_SCORES: Readonly<Record<Task, Readonly<{ key: string; higherIsBetter: boolean }>>> = {
  semseg: { key: 'mIoU', higherIsBetter: true },
  human_parts: { key: 'mIoU', higherIsBetter: true },
  sal: { key: 'mIoU', higherIsBetter: true },
  normals: { key: 'mean', higherIsBetter: false },
  edge: { key: 'odsF', higherIsBetter: true },
  depth: { key: 'rmse', higherIsBetter: false },
};

/** The paper's single-task Swin-T on PASCAL-Context, in the units of the meters. */
export const PAPER_BASELINES: Readonly<Partial<Record<Task, number>>> = {
  semseg: 0.6721, human_parts: 0.6193, sal: 0.6235, normals: 17.97,
};

/** Δm over the tasks that `scores` has; each needs a baseline. */
export function deltaM(scores: Readonly<Partial<Record<Task, Scores>>>,
  baselines: Readonly<Partial<Record<Task, number>>>): number {
  const gains = (Object.keys(scores) as Task[]).map((task) => {
    const { key, higherIsBetter } = TASK_SCORES[task];
    const [got, single] = [scores[task]![key], baselines[task]];
    if (got === undefined) throw new Error(`deltaM: ${task} must have the score "${key}"`);
    if (!single) throw new Error(`deltaM: ${task} must have a baseline other than 0, got ${single}`);
    return (higherIsBetter ? 1 : -1) * (got - single) / single;
  });
  return 100 * gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
}
