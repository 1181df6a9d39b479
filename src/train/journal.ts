// What a run leaves in its folder as it goes: the log, and of each evaluation its metrics and the best model.
import type { ParameterStore } from '../mtlora/store.ts';
import { BestModel } from './best.ts';
import { boardEntry, boardPictures } from './board.ts';
import type { Config } from './config.ts';
import { writeGallery } from './gallery.ts';
import { writeReport } from './report/report.ts';
import type { LogEntry, RunFolder } from './run_folder.ts';
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

  /** Writes the run's report, as far as it got. @returns what to say about it */
  report(): string {
    return `report     ${writeReport(this.#folder.path)}`;
  }
}
