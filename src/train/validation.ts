// Evaluations of a run: over which split, what they say on the terminal, what they leave on disk.
import type { Gpu } from '../gpu/device.ts';
import type { Executable } from '../gpu/executable.ts';
import type { ParameterStore } from '../mtlora/store.ts';
import type { Terminal } from './terminal.ts';
import type { Config } from './config.ts';
import type { SheetRow } from './contact_sheet.ts';
import { Evaluator } from './evaluate.ts';
import { openSplit } from './prepare.ts';
import { baselinesOf, metricsOf, type Metrics } from './results.ts';
import type { Skipped } from './skips.ts';

export type Validated = {
  readonly metrics: Metrics;
  readonly rows: readonly SheetRow[];
  /** What was wrong with samples that were left out, and how often each was. */
  readonly skipped: Skipped;
};

export type Validation = {
  /** null: interrupted. */
  run(options: { signal: AbortSignal; rows?: number; split?: 'train' | 'val' }): Promise<Validated | null>;
  destroy(): void;
};

/** Evaluates a store's model on whole splits, with the program compiled once, in `lenders`' buffers. */
export function openValidation(
  gpu: Gpu, store: ParameterStore, config: Config, terminal: Terminal, lenders: readonly Executable[] = [],
): Validation {
  const evaluator = new Evaluator(gpu, store, lenders);
  return {
    async run({ signal, rows = 0, split = 'val' }) {
      const loader = openSplit(config, split, { epoch: 0, batch: 0 }, false);
      try {
        const evaluation = await evaluator.run(loader, {
          official: config.COMPAT.OFFICIAL_METRICS, rows, signal,
          onBatch: (done, total) => terminal.status(`evaluating ${split} ${done}/${total} batches`),
        });
        const metrics = metricsOf(evaluation, baselinesOf(config));
        return { metrics, rows: evaluation.rows, skipped: loader.stats.skipped };
      } catch (error) {
        if (!signal.aborted || error !== signal.reason) throw error;
        return null;
      } finally {
        terminal.status(null);
        await loader.close();
      }
    },
    destroy: () => evaluator.destroy(),
  };
}
