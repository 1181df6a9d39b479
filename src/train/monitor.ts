// What a run says while it trains: means since the last line, speed, time left, share of time spent on data.
import type { Task } from '../mtlora/spec.ts';
import type { StepReport } from './step.ts';

export type Told = {
  readonly step: number;
  readonly epoch: number;
  readonly lr: number;
  readonly report: StepReport;
};

export type Summary = {
  readonly step: number;
  readonly epoch: number;
  readonly lr: number;
  readonly loss: Readonly<Record<string, number>>;
  /** The tasks' weights now, where they are learned. */
  readonly weights?: Readonly<Record<string, number>>;
  /** Of the last update that was not left out; null where all were. */
  readonly grad_norm: number | null;
  /** What the loss is multiplied by, and updates left out so far; in f16 only. */
  readonly loss_scale?: number;
  readonly left_out?: number;
  readonly images_per_second: number;
  readonly seconds_per_step: number;
  /** Share of the time that was spent waiting for data. */
  readonly data_wait: number;
};

/** Sums what steps report until it is asked for a summary. */
export class Monitor {
  readonly #imagesPerStep: number;
  #sums = new Map<Task | 'total', number>();
  #steps = 0;
  #sinceMs = performance.now();
  #waitedMs = 0;
  #last: Told | null = null;
  #gradNorm: number | null = null;

  constructor(imagesPerStep: number) {
    this.#imagesPerStep = imagesPerStep;
  }

  get steps(): number {
    return this.#steps;
  }

  add(told: Told): void {
    const add = (name: Task | 'total', loss: number): void => {
      this.#sums.set(name, (this.#sums.get(name) ?? 0) + loss);
    };
    add('total', told.report.total);
    for (const [task, loss] of told.report.tasks) add(task, loss);
    this.#steps += 1;
    this.#last = told;
    if (Number.isFinite(told.report.gradNorm)) this.#gradNorm = told.report.gradNorm;
  }

  /** The means since the last summary; `waitedMs` is what the loader has waited in all. */
  summary(waitedMs: number): Summary {
    const now = performance.now();
    const elapsedMs = now - this.#sinceMs;
    const { step, epoch, lr, report } = this.#last!;
    const summary = {
      step, epoch, lr,
      loss: Object.fromEntries([...this.#sums].map(([name, sum]) => [name, sum / this.#steps])),
      ...report.weights && { weights: Object.fromEntries(report.weights) },
      grad_norm: this.#gradNorm,
      ...report.lossScale && { loss_scale: report.lossScale.scale, left_out: report.skipped },
      images_per_second: 1000 * this.#steps * this.#imagesPerStep / elapsedMs,
      seconds_per_step: elapsedMs / 1000 / this.#steps,
      data_wait: (waitedMs - this.#waitedMs) / elapsedMs,
    };
    this.restart(waitedMs);
    return summary;
  }

  /** Forgets the time since the last summary, such as a validation's. */
  restart(waitedMs: number): void {
    this.#sums = new Map();
    this.#steps = 0;
    this.#sinceMs = performance.now();
    this.#waitedMs = waitedMs;
  }
}
