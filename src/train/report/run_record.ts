// What a run's folder tells of it, read for reports and comparisons.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { criterionOf, isBetter, scoreOf } from '../best_score.ts';
import { loadConfig, type Config } from '../config.ts';
import type { Summary } from '../monitor.ts';
import type { Metrics } from '../results.ts';
import type { LogEntry } from '../run_folder.ts';
import type { SkipEntry } from '../skips.ts';

export type Start = {
  readonly step: number;
  readonly time: string;
  readonly steps_per_epoch?: number;
  readonly args: readonly string[];
  readonly mtlora: string;
  readonly node: string;
  readonly adapter: string;
  readonly driver: string;
};

export type Evaluated = Metrics & { readonly step: number };

export type RunRecord = {
  readonly path: string;
  readonly config: Config;
  /** The text of config.yaml. */
  readonly yaml: string;
  readonly starts: readonly Start[];
  readonly train: readonly Summary[];
  readonly evaluations: readonly Evaluated[];
  readonly skips: readonly SkipEntry[];
  /** The evaluation with the best score by TRAIN.BEST; null where there is none. */
  readonly best: Evaluated | null;
};

/** Reads a run's folder; it may be under way. */
export function readRun(path: string): RunRecord {
  const [log, yaml] = [join(path, 'log.jsonl'), join(path, 'config.yaml')];
  for (const file of [log, yaml]) {
    if (!existsSync(file)) throw new Error(`"${path}" must be the folder of a run, got no "${file}"`);
  }
  const { config } = loadConfig(yaml);
  const entries = readLog(log);
  const all = <T>(kind: string): T[] => entries.filter((entry) => entry.kind === kind) as unknown as T[];
  const [starts, evaluations] = [all<Start>('start'), all<Evaluated>('evaluation')];
  if (starts.length === 0) {
    throw new Error(`"${log}" must tell of a run's start, got ${entries.length} lines`);
  }
  return {
    path, config, starts, evaluations,
    yaml: readFileSync(yaml, 'utf8'),
    train: all('train'), skips: all('skipped'), best: bestOf(config, evaluations),
  };
}

function readLog(path: string): LogEntry[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  lines.pop();                            // empty, or a line that is being written
  return lines.map((line, i) => {
    try {
      return JSON.parse(line) as LogEntry;
    } catch (error) {
      throw new Error(`"${path}":${i + 1} must be JSON: ${(error as Error).message}`, { cause: error });
    }
  });
}

function bestOf(config: Config, evaluations: readonly Evaluated[]): Evaluated | null {
  const criterion = criterionOf(config);
  let best: Evaluated | null = null;
  for (const found of evaluations) {
    const before = best && scoreOf(criterion, best);
    if (isBetter(criterion, scoreOf(criterion, found), before)) best = found;
  }
  return best;
}

/** How far a run was after so many updates, in words. */
export function epochText({ starts }: RunRecord, step: number): string {
  const perEpoch = starts.at(-1)?.steps_per_epoch;
  if (step === 0) return 'before training';
  return perEpoch === undefined ? `update ${step}` : `epoch ${Math.ceil(step / perEpoch)}`;
}
