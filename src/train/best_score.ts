// Which number of an evaluation says that a model is better than another: TRAIN.BEST.
import type { Task } from '../mtlora/spec.ts';
import type { Config } from './config_schema.ts';
import { baselinesOf, type Metrics } from './results.ts';

/** `name` as TRAIN.BEST has it: `delta_m`, `loss` or `<task>.<score>`. */
export type Criterion = { readonly name: string; readonly higherIsBetter: boolean };

/** The scores that a task's meter gives in every mode. */
const SCORES: Readonly<Record<Task, readonly string[]>> = {
  semseg: ['mIoU'],
  human_parts: ['mIoU'],
  sal: ['mIoU', 'maxF'],
  normals: ['mean', 'rmse'],
  edge: ['loss'],
  depth: ['rmse', 'log_rmse'],
};
const LOWER_IS_BETTER = /^(loss|.*\.(loss|mean|rmse|log_rmse))$/;

export function criterionOf(config: Config): Criterion {
  const name = config.TRAIN.BEST || (baselinesOf(config) ? 'delta_m' : 'loss');
  return { name, higherIsBetter: !LOWER_IS_BETTER.test(name) };
}

/** What TRAIN.BEST must be, where it is something else. */
export function wrongCriterion(config: Config): string | null {
  const { TRAIN: { BEST }, TASKS } = config;
  const scores = TASKS.flatMap((task) => SCORES[task].map((score) => `${task}.${score}`));
  const choices = [...baselinesOf(config) ? ['delta_m'] : [], 'loss', ...scores];
  if (BEST === '' || choices.includes(BEST)) return null;
  return `must be one of ${choices.map((choice) => `"${choice}"`).join(', ')}, got "${BEST}"`;
}

export function scoreOf({ name }: Criterion, metrics: Metrics): number {
  if (name === 'delta_m') return metrics.delta_m!;
  if (name === 'loss') return metrics.loss.total;
  const [task, score] = name.split('.') as [Task, string];
  return metrics.scores[task]![score]!;
}

/** Whether `value` is better than what was best so far; one that is not finite never is. */
export function isBetter({ higherIsBetter }: Criterion, value: number, best: number | null): boolean {
  if (!Number.isFinite(value)) return false;
  return best === null || (higherIsBetter ? value > best : value < best);
}
