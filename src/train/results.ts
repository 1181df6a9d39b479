// Evaluations as tables for the terminal and as JSON.
import Table from 'cli-table3';
import type { Task } from '../mtlora/spec.ts';
import type { Config } from './config.ts';
import type { Evaluation } from './evaluate.ts';
import { deltaM, PAPER_BASELINES, TASK_SCORES, type Scores } from './metrics/index.ts';

type Baselines = Readonly<Partial<Record<Task, number>>>;

/** What files keep of an evaluation. */
export type Metrics = Pick<Evaluation, 'images' | 'loss' | 'scores'> & { readonly delta_m: number | null };

/** The single-task scores that Δm compares with; null unless every task has one. */
export function baselinesOf({ DATA, TASKS, BASELINES: { PAPER, ...given } }: Config): Baselines | null {
  const scores: Baselines = { ...PAPER && DATA.DBNAME === 'PASCALContext' ? PAPER_BASELINES : {}, ...given };
  return TASKS.every((task) => task in scores) ? scores : null;
}

export function metricsOf({ images, loss, scores }: Evaluation, baselines: Baselines | null): Metrics {
  return { images, loss, scores, delta_m: baselines && deltaM(scores, baselines) };
}

export const TITLES: Readonly<Record<Task, string>> = {
  semseg: 'semantic segmentation', human_parts: 'human parts', sal: 'saliency', normals: 'surface normals',
  edge: 'edges', depth: 'depth',
};

export type MainScore = {
  readonly name: string;
  readonly value: number;
  readonly text: string;
  readonly better: 'higher' | 'lower';
};

/** A task's main score; mIoU is told in per cent, as everywhere. */
export function mainScore(task: Task, found: Scores): MainScore {
  const { key, higherIsBetter } = TASK_SCORES[task];
  const shown = key in found ? key : Object.keys(found)[0]!;
  const better = higherIsBetter && key in found ? 'higher' : 'lower';
  const value = found[shown]!;
  return { name: shown, value, text: formatScore(task, shown, value), better };
}

function formatScore(task: Task, name: string, value: number): string {
  if (/mIoU|maxF/.test(name)) return `${(100 * value).toFixed(2)} %`;
  return task === 'normals' ? `${value.toFixed(2)}°` : value.toFixed(4);
}

/** Δm as it is told. */
export function signed(percent: number | null): string {
  return percent === null ? '' : `${percent >= 0 ? '+' : ''}${percent.toFixed(2)} %`;
}

/** A row for each task, a column for each evaluation. */
export function resultsTable(columns: Readonly<Record<string, Metrics>>): string {
  const all = Object.values(columns);
  const table = new Table({
    head: ['task', 'score', ...Object.keys(columns), 'better is'],
    style: { head: [], border: [] },
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },      // no line between rows
    colAligns: ['left', 'left', ...all.map(() => 'right' as const), 'left'],
  });
  for (const task of Object.keys(all[0]!.scores) as Task[]) {
    const cells = all.map((metrics) => mainScore(task, metrics.scores[task]!));
    const { name, better } = cells[0]!;
    table.push([TITLES[task], name, ...cells.map(({ text }) => text), better]);
  }
  table.push(['loss, weighted sum', '', ...all.map(({ loss }) => loss.total.toFixed(4)), 'lower']);
  if (all.some(({ delta_m: gain }) => gain !== null)) {
    table.push(['Δm', 'single-task models', ...all.map(({ delta_m: gain }) => signed(gain)), 'higher']);
  }
  return table.toString();
}
