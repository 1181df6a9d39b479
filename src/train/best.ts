// best.safetensors: the model of the evaluation with the best score, without the optimizer.
import { existsSync, renameSync } from 'node:fs';
import { z } from 'zod';
import { readSafetensors, writeSafetensors } from '../data/safetensors.ts';
import type { ParameterStore } from '../mtlora/store.ts';
import { criterionOf, isBetter, scoreOf, type Criterion } from './best_score.ts';
import { formatConfig, type Config } from './config.ts';
import type { Metrics } from './results.ts';
import { SUPERSEDED, type RunFolder } from './run_folder.ts';
import { fullStateDict } from './weights.ts';

export const BEST_FILE = 'best.safetensors';

const BEST = z.object({ by: z.string(), value: z.number(), step: z.number() });
export type Best = z.output<typeof BEST>;

/** Where a model stands and what made it: for the file's metadata and its batch counters. */
export type Origin = {
  readonly step: number;
  readonly tracked: number;
  readonly versions: Readonly<Record<string, string>>;
};

/** Keeps the best model of a run in its folder. */
export class BestModel {
  readonly criterion: Criterion;
  readonly #folder: RunFolder;
  readonly #config: Config;
  #best: Best | null;

  /** A run that goes back to `step` sets a model of a later step aside. */
  constructor(folder: RunFolder, config: Config, step: number) {
    this.criterion = criterionOf(config);
    this.#folder = folder;
    this.#config = config;
    const path = folder.file(BEST_FILE);
    const kept = existsSync(path) ? readBest(path) : null;
    const isOurs = kept?.by === this.criterion.name && kept.step <= step;
    if (kept && !isOurs) renameSync(path, path + SUPERSEDED);
    this.#best = isOurs ? kept : null;
  }

  /** Saves the store's model if its metrics are the best so far. @returns null where they are not */
  async offer(
    store: ParameterStore, metrics: Metrics, origin: Origin,
  ): Promise<{ readonly score: Best; readonly line: string } | null> {
    const { name: by } = this.criterion;
    const value = scoreOf(this.criterion, metrics);
    if (!isBetter(this.criterion, value, this.#best?.value ?? null)) return null;
    const { step, tracked, versions } = origin;
    const tensors = fullStateDict(store.spec, await store.read(), tracked);
    const best = { by, value, step };
    writeSafetensors(this.#folder.file(BEST_FILE), tensors, {
      best: JSON.stringify(best), config: formatConfig(this.#config), ...versions,
    });
    const before = this.#best;
    this.#best = best;
    const than = before ? `, before ${before.value.toFixed(4)} after update ${before.step}` : '';
    return { score: best, line: `best       ${by} ${value.toFixed(4)}${than}: "${BEST_FILE}"` };
  }
}

function readBest(path: string): Best {
  try {
    return BEST.parse(JSON.parse(readSafetensors(path).metadata.best ?? ''));
  } catch (error) {
    throw new Error(`Cannot go on with the run's best model: "${path}" must be whole and say what it is `
      + 'the best of; rename or delete it', { cause: error });
  }
}
