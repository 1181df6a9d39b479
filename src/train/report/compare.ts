// Runs side by side: scores, Δm, and what was trained for them.
import { modelSpec } from '../config.ts';
import { paramsReport, table } from '../params_report.ts';
import { mainScore, signed } from '../results.ts';
import type { Task } from '../../mtlora/spec.ts';
import { epochText, type Evaluated, type RunRecord } from './run_record.ts';

/** Which evaluation of a run counts. */
export type Which = 'best' | 'last';

export type Compared = {
  readonly run: string;
  readonly name: string;
  readonly tag: string;
  readonly at: string;
  readonly step: number;
  readonly scores: Evaluated['scores'];
  readonly delta_m: number | null;
  readonly trainable: number;
  readonly total: number;
  /** Multiply-accumulates of an image's forward pass, 10⁹. */
  readonly gmac: number;
};

export function compareRun(run: RunRecord, which: Which): Compared {
  const found = which === 'best' ? run.best : run.evaluations.at(-1) ?? null;
  if (!found) throw new Error(`compare: "${run.path}" must have an evaluation, got none`);
  const { trainable, total, macs } = paramsReport(modelSpec(run.config));
  return {
    run: run.path, name: run.config.MODEL.NAME, tag: run.config.TAG,
    at: epochText(run, found.step), step: found.step, scores: found.scores, delta_m: found.delta_m,
    trainable, total, gmac: macs.total / 1e9,
  };
}

/** A row for each run; a task that it does not have stays empty. */
export function comparisonTable(runs: readonly Compared[]): string {
  const tasks = [...new Set(runs.flatMap(({ scores }) => Object.keys(scores) as Task[]))];
  const score = ({ scores }: Compared, task: Task): string =>
    scores[task] ? mainScore(task, scores[task]).text : '';
  const head = tasks.map((task) => {
    const { name, better } = mainScore(task, runs.find(({ scores }) => scores[task])!.scores[task]!);
    return `${task} ${name} ${better === 'higher' ? '↑' : '↓'}`;
  });
  return table([
    ['run', 'evaluated', ...head, 'Δm ↑', 'trainable', 'all', 'GMAC'],
    ...runs.map((run) => [run.run, run.at, ...tasks.map((task) => score(run, task)), signed(run.delta_m),
      millions(run.trainable), millions(run.total), run.gmac.toFixed(2)]),
  ], [0, 1]);
}

function millions(count: number): string {
  return `${(count / 1e6).toFixed(2)} M`;
}
