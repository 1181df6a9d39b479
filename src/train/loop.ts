// The training loop: read it from top to bottom.
import type { Batch, Loader } from '../data/loader.ts';
import { countBatches } from '../data/order.ts';
import type { Position } from './checkpoint.ts';
import { checkpointName } from './checkpoint_names.ts';
import type { Config } from './config.ts';
import { Monitor, type Summary, type Told } from './monitor.ts';
import { buildSchedule, rateOfUpdate } from './schedule.ts';
import type { HostBatch } from './inputs.ts';
import type { StepReport, TrainStep } from './step.ts';

export type Training = {
  readonly config: Config;
  readonly step: TrainStep;
  /** Opened at the batch that follows `start.step`. */
  readonly loader: Loader;
  readonly start: Position;
  readonly signal: AbortSignal;
  /** Look for the kernel that made the first NaN: every step is waited for. */
  readonly anomaly?: boolean;
  /** Where checkpoints go; called when all steps before are done. */
  readonly save: (name: string, position: Position) => Promise<void>;
  readonly validate: (step: number) => Promise<void>;
  readonly scoreTraining: (step: number) => Promise<void>;
  readonly onSummary: (summary: Summary, progress: Progress) => void;
};

export type Progress = {
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
};

/** How a loop ended: by itself, or interrupted with all of it saved in `checkpoint`. */
export type Ending = { readonly done: true } | { readonly done: false; readonly checkpoint: string };

/** Updates of an epoch; batches that fill no update are left out. */
export function stepsPerEpoch({ TRAIN }: Config, batchesPerEpoch: number): number {
  return Math.floor(batchesPerEpoch / TRAIN.ACCUMULATION_STEPS);
}

/** Updates of an epoch over so many images; at least one. */
export function updatesPerEpoch(config: Config, samples: number): number {
  const { DATA: { BATCH_SIZE }, TRAIN: { ACCUMULATION_STEPS } } = config;
  const updates = stepsPerEpoch(config, countBatches(samples, BATCH_SIZE, true));
  if (updates > 0) return updates;
  const times = ACCUMULATION_STEPS > 1 ? ` times TRAIN.ACCUMULATION_STEPS (${ACCUMULATION_STEPS})` : '';
  throw new Error(`DATA.BATCH_SIZE${times}: must be at most the ${samples} images of the training split, `
    + `got ${BATCH_SIZE}`);
}

/** Trains from `start` to the last epoch. */
export async function trainLoop(training: Training): Promise<Ending> {
  const { config, step: trainStep, loader, start, signal, anomaly, save, onSummary } = training;
  const { TRAIN, DATA, SEED, PRINT_FREQ, SAVE_FREQ, EVAL_FREQ, EVAL_TRAINING } = config;
  const micro = TRAIN.ACCUMULATION_STEPS;
  const perEpoch = stepsPerEpoch(config, loader.batchesPerEpoch);
  const total = perEpoch * TRAIN.EPOCHS;
  const schedule = buildSchedule(config, loader.batchesPerEpoch);
  const monitor = new Monitor(DATA.BATCH_SIZE * micro);
  let pending: Promise<Told> | null = null;
  let step = start.step;

  while (step < total) {
    const epoch = Math.floor(step / perEpoch);
    const lr = rateOfUpdate(schedule, step);
    trainStep.run(await takeBatches(loader, micro), { step, seed: SEED, lr });
    step += 1;

    // a report is waited for when the next step is under way, so that the GPU never waits for it
    const before = pending;
    pending = reported(trainStep, { step, epoch, lr });
    if (before) monitor.add(await finite(before));

    const epochEnds = step % perEpoch === 0;
    if (epochEnds || signal.aborted || anomaly) {
      monitor.add(await finite(pending, anomaly ? trainStep : null));
      pending = null;
    }
    if (monitor.steps > 0 && (monitor.steps >= PRINT_FREQ || epochEnds)) {
      onSummary(monitor.summary(loader.stats.waitMs), { stepsPerEpoch: perEpoch, totalSteps: total });
    }

    if (!epochEnds && !signal.aborted) continue;
    const position = { step, samples: loader.samples, tracked: start.tracked + (step - start.step) * micro };
    const checkpoint = checkpointName(epoch, epochEnds ? null : step);
    const due = (every: number): boolean => epochEnds && (step === total || epoch % every === 0);
    if (due(SAVE_FREQ)) await save(checkpoint, position);
    if (due(EVAL_FREQ)) await training.validate(step);
    if (EVAL_TRAINING !== null && due(EVAL_TRAINING)) await training.scoreTraining(step);
    if (signal.aborted) {
      if (!due(SAVE_FREQ)) await save(checkpoint, position);
      return { done: false, checkpoint };
    }
    await skipBatches(loader, loader.batchesPerEpoch % micro);
    monitor.restart(loader.stats.waitMs);
  }
  return { done: true };
}

/** The batches of one update. A loader's batch is good until its next one, so several are copied. */
async function takeBatches(loader: Loader, count: number): Promise<HostBatch[]> {
  if (count === 1) return [await loader.next()];
  const batches: HostBatch[] = [];
  for (let i = 0; i < count; i++) batches.push(copyOf(await loader.next()));
  return batches;
}

function copyOf({ image, labels }: Batch): HostBatch {
  const copies = Object.entries(labels).map(([task, label]) => [task, label.slice()] as const);
  return { image: image.slice(), labels: Object.fromEntries(copies) };
}

async function skipBatches(loader: Loader, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await loader.next();
}

function reported(trainStep: TrainStep, at: Omit<Told, 'report'>): Promise<Told> {
  const told = trainStep.report().then((report) => ({ ...at, report }));
  told.catch(() => undefined);          // whoever awaits it gets the error; after the loader's nobody does
  return told;
}

/** Training went wrong in a way that more of it does not mend. */
export class DivergedError extends Error {
  override readonly name = 'DivergedError';
}

/**
 * The GPU leaves out an update whose gradients are not finite, so parameters are still good here. With a loss
 * scale that is how the scale is found; below 1 it is not the scale that makes them so.
 */
async function finite(reported: Promise<Told>, inspected: TrainStep | null = null): Promise<Told> {
  const told = await reported;
  const { report, step, epoch } = told;
  const { lossScale } = report;
  if (Number.isFinite(report.total) && (lossScale ? lossScale.scale >= 1 : report.skipped === 0)) return told;
  const first = await inspected?.findNonFinite();
  const where = first ? `, which "${first.label ?? 'its input'}" brought in first ("${first.tensor}", `
    + `element ${first.index})` : '';
  const what = whatIsNotFinite(report) + where;
  throw new DivergedError(`Update ${step} (epoch ${epoch + 1}): ${what}; it was left out`);
}

function whatIsNotFinite({ tasks, gradNorm, lossScale }: StepReport): string {
  const bad = [...tasks].filter(([, loss]) => !Number.isFinite(loss));
  if (bad.length > 0) {
    return `the loss of ${bad.map(([task]) => `"${task}"`).join(', ')} must be finite, got ${bad[0]![1]}`;
  }
  const scaled = lossScale ? ` at every loss scale down to ${2 * lossScale.scale}` : '';
  return `the gradients must be finite, got a norm of ${gradNorm}${scaled}`;
}
