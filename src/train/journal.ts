// What a run leaves in its folder as it goes: the log, and of each evaluation its metrics and the best model.
import type { ParameterStore } from '../mtlora/store.ts';
import { BestModel } from './best.ts';
import { boardEntry, boardPictures } from './board.ts';
import type { Config } from './config.ts';
import { writeGallery } from './gallery.ts';
import { writeReport } from './report/report.ts';
import { readRun } from './report/run_record.ts';
import type { LogEntry, RunFolder } from './run_folder.ts';
import { skipLines, skippedSince, type SkipEntry, type Skipped } from './skips.ts';
import { EventFile } from './tensorboard.ts';
import type { Validated } from './validation.ts';

/** An evaluated model, and where the run stands. */
export type Evaluated = Validated & {
  readonly step: number;
  readonly epochs: number;
  readonly tracked: number;
};

/** The record of a run from `start.step` on. */
export class Journal {
  readonly #folder: RunFolder;
  readonly #best: BestModel;
  readonly #pictures: number;
  readonly #board: EventFile | null;
  readonly #versions: Readonly<Record<string, string>>;
  readonly #said = new Set<string>();
  #skipped: Skipped = new Map();

  constructor(
    folder: RunFolder, config: Config, start: { readonly step: number },
    versions: Readonly<Record<string, string>>,
  ) {
    this.#folder = folder;
    this.#best = new BestModel(folder, config, start.step);
    this.#board = config.TENSORBOARD ? new EventFile(folder.path, start.step) : null;
    this.#pictures = config.EVAL_PICTURES;
    this.#versions = versions;
  }

  log(entry: LogEntry): void {
    this.#folder.log(entry);
    if (this.#board) boardEntry(this.#board, entry);
  }

  /** Records an evaluation of the model that `store` holds now. @returns what to say about it */
  async evaluated(store: ParameterStore, evaluated: Evaluated): Promise<string[]> {
    const { metrics, rows, step, epochs, tracked } = evaluated;
    this.log({ kind: 'evaluation', step, ...metrics });
    if (this.#board) boardPictures(this.#board, step, rows);
    writeGallery(this.#folder.path, rows.slice(0, this.#pictures), step);
    this.#folder.write('metrics.json', `${JSON.stringify({ step, epochs, ...metrics }, null, 2)}\n`);
    const best = await this.#best.offer(store, metrics, { step, tracked, versions: this.#versions });
    if (best === null) return [];
    this.log({ kind: 'best', ...best.score });
    return [best.line];
  }

  /**
   * Records samples that were left out: of training all so far, of validation those of one evaluation.
   *
   * @returns what to say about those that were not spoken of yet
   */
  skipped(split: SkipEntry['split'], step: number, skipped: Skipped): string[] {
    const problems = skippedSince(split === 'train' ? this.#skipped : new Map(), skipped);
    if (split === 'train') this.#skipped = new Map(skipped);
    if (!problems) return [];
    this.log({ kind: 'skipped', step, split, problems });
    const fresh = Object.keys(problems).filter((problem) => !this.#said.has(problem));
    for (const problem of fresh) this.#said.add(problem);
    return fresh.map((problem) => `warning: ${problem}; the sample is left out`);
  }

  /** Writes the run's report, as far as it got. @returns what to say about it, and about samples left out */
  report(): string[] {
    const { path } = this.#folder;
    return [...skipLines(readRun(path).skips), `report     ${writeReport(path)}`];
  }
}
