// A training run as a whole: its folder, what it starts from, the loop, its evaluations and how it ends.
import { rmSync } from 'node:fs';
import { basename } from 'node:path';
import { listSamples } from '../data/dataset.ts';
import { WriteError } from '../data/file_bytes.ts';
import type { Loader } from '../data/loader.ts';
import { openGpu, type Gpu } from '../gpu/device.ts';
import { GpuError } from '../gpu/errors.ts';
import { describePlan } from '../gpu/plan.ts';
import type { ParameterStore } from '../mtlora/store.ts';
import { expectSameRun, loadOptimizer, readCheckpoint, saveCheckpoint } from './checkpoint.ts';
import type { Checkpoint, Position, ReleaseContext } from './checkpoint.ts';
import { checkpointName } from './checkpoint_names.ts';
import { formatConfig, modelSpec, type Config } from './config.ts';
import { formatSummary } from './console.ts';
import { Journal } from './journal.ts';
import { DivergedError, trainLoop, updatesPerEpoch } from './loop.ts';
import { datasetSpec, describeModel, frozenOf, openModel, openSplit } from './prepare.ts';
import { resultsTable } from './results.ts';
import { RunFolder, samePath } from './run_folder.ts';
import { compileTrainStep, type TrainStep } from './step.ts';
import { Exit, type Terminal } from './terminal.ts';
import { openValidation, type Validated, type Validation } from './validation.ts';
import { versions } from './versions.ts';

export type RunOptions = {
  readonly folder: string;
  readonly device?: string | undefined;
  /** Kernels in their plain form only. */
  readonly plainKernels?: boolean | undefined;
  /** Continue the furthest checkpoint of the folder, if there is one. */
  readonly autoResume?: boolean;
  /** Where the folder's run came to its end: delete it and start anew, instead of refusing to. */
  readonly startOver?: boolean;
  /** Of MODEL.RESUME take the model, not the run. */
  readonly weightsOnly?: boolean;
  /** Name the kernel that makes the first NaN, at the price of waiting for every step. */
  readonly anomaly?: boolean;
  /** Evaluate before the first update. */
  readonly evaluateFirst?: boolean;
  /** Lines on what the run is, for the first ones that it says. */
  readonly about?: readonly string[];
  /** Pictures of each evaluation to keep for a contact sheet. */
  readonly rows?: number;
  /** The command that continues the run from a checkpoint. */
  readonly resumeCommand: (checkpoint: string) => string;
};

/** An open run: what its parts have in common. */
type Run = {
  readonly config: Config;
  readonly options: RunOptions;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly folder: RunFolder;
  readonly journal: Journal;
  readonly gpu: Gpu;
  readonly store: ParameterStore;
  readonly loader: Loader;
  readonly start: Position;
  readonly perEpoch: number;
  readonly trainStep: TrainStep;
  readonly validation: Validation;
};

/** Trains a configuration to its end, and evaluates it there; throws `Exit` where it was interrupted. */
export async function runTraining(
  config: Config, options: RunOptions, terminal: Terminal,
): Promise<Validated> {
  await using cleanup = new AsyncDisposableStack();
  const run = await openRun(config, options, terminal, cleanup);
  const { journal, signal, start, perEpoch, loader } = run;
  let last = options.evaluateFirst ? await validate(run, start.step) : null;
  if (signal.aborted) throw new Exit(130, 'Interrupted before the first update: there is nothing to save');
  try {
    const ending = await trainLoop({
      config, signal, start,
      anomaly: options.anomaly ?? false,
      step: run.trainStep,
      loader,
      save: (name, position) => save(run, name, position),
      async validate(step) { last = await validate(run, step); },
      scoreTraining: (step) => scoreTraining(run, step),
      onSummary(summary, progress) {
        journal.log({ kind: 'train', ...summary });
        const line = (bar: boolean): string =>
          formatSummary(summary, progress, { bar, epochs: config.TRAIN.EPOCHS });
        terminal.status(line(true));
        for (const note of journal.skipped('train', summary.step, loader.stats.skipped)) terminal.say(note);
        if (!terminal.interactive || summary.step % perEpoch === 0) terminal.say(line(false));
      },
    });
    if (ending.done) last ??= await validate(run, start.step);
    terminal.status(null);
    for (const line of journal.report()) terminal.say(line);
    if (!ending.done) throw interrupted(run, ending.checkpoint);
    if (!last) throw new Exit(130, 'Interrupted: all is trained and saved, the evaluation is not complete');
    return last;
  } catch (error) {
    throw advised(run, error);
  } finally {
    terminal.status(null);
  }
}

async function openRun(
  config: Config, options: RunOptions, terminal: Terminal, cleanup: AsyncDisposableStack,
): Promise<Run> {
  const { say } = terminal;
  const [samples, validationSamples] = (['train', 'val'] as const).map((split) =>
    listSamples(datasetSpec(config, split), config.DATA.ON_BAD_SAMPLE).length) as [number, number];
  const perEpoch = updatesPerEpoch(config, samples);
  const folder = cleanup.adopt(new RunFolder(options.folder), (open) => open.close());
  const context = { spec: modelSpec(config), samples, stepsPerEpoch: perEpoch };
  const resume = await startingPoint(folder, config, options, context, say);
  const continued = options.weightsOnly ? null : resume?.run ?? null;
  if (resume && continued) expectSameRun(resume, config, samples);

  const { device, plainKernels } = options;
  const gpu = cleanup.adopt(await openGpu({ device, plainKernels, say }), (open) => open.close());
  for (const line of [...describeModel(gpu, config), ...options.about ?? []]) say(line);
  const { store, tracked } = await openModel(gpu, config, say, resume, frozenOf(config));
  const start = { step: continued?.position.step ?? 0, tracked, samples };
  const loader = cleanup.adopt(openSplit(config, 'train', {
    epoch: Math.floor(start.step / perEpoch), batch: start.step % perEpoch * config.TRAIN.ACCUMULATION_STEPS,
  }), (open) => open.close());
  say(`data       ${samples} training and ${validationSamples} validation images: `
    + `${config.TRAIN.EPOCHS} epochs of ${perEpoch} updates`);

  const trainStep = await compileTrainStep(gpu, store, config, config.DATA.BATCH_SIZE);
  for (const { label, plan } of trainStep.programs) {
    for (const line of describePlan(label, plan)) say(`plan       ${line}`);
  }
  store.startAverages();
  if (resume && continued) await loadOptimizer(store, resume);
  if (continued?.lossScale && config.PRECISION === 'f16') trainStep.restoreLossScale(continued.lossScale);
  if (continued && (continued.averages === null) !== (store.arena.averages === null)) {
    say(`averages   ${continued.averages ? 'of the checkpoint are left out, as TRAIN.EMA_DECAY is 0'
      : 'start from the weights: the checkpoint has none'}`);
  }
  say(`output     ${folder.path}${start.step > 0 ? `, continued after update ${start.step}` : ''}`);
  folder.write('config.yaml', formatConfig(config));
  folder.rewind(start.step, resume?.path ?? null);
  const time = new Date().toISOString();
  const journal = new Journal(folder, config, start, versions(gpu));
  const begun = { time, steps_per_epoch: perEpoch, args: terminal.args, ...versions(gpu) };
  journal.log({ kind: 'start', step: start.step, ...begun });
  const validation = openValidation(gpu, store, config, terminal, trainStep.programs);
  const signal = terminal.interruption();
  const made = { folder, journal, gpu, store, loader, start, perEpoch, trainStep, validation };
  return { config, options, terminal, signal, ...made };
}

/** The checkpoint to go on from: the folder's furthest that is whole, or the one that was named. */
async function startingPoint(
  folder: RunFolder, config: Config, { autoResume, startOver, weightsOnly }: RunOptions,
  context: ReleaseContext, say: (line: string) => void,
): Promise<Checkpoint | null> {
  const own = folder.checkpoints();
  const finished = checkpointName(config.TRAIN.EPOCHS - 1, null);
  if (startOver && own[0] !== undefined && basename(own[0]) === finished) {
    for (const path of own) rmSync(path);
    return null;
  }
  if (autoResume) {
    for (const path of own) {
      try {
        const found = await readCheckpoint(path);
        if (found.run) return found;
        throw new Error(`Cannot resume from "${path}": it holds a model alone`);
      } catch (error) {
        say(`warning: ${(error as Error).message}; trying the checkpoint before it`);
      }
    }
  }
  const { RESUME } = config.MODEL;
  const resume = RESUME === '' ? null : await readCheckpoint(RESUME, weightsOnly ? null : context);
  const isOwn = resume?.run && !weightsOnly && own.some((path) => samePath(path, RESUME));
  if (own.length > 0 && !autoResume && !isOwn) {
    throw new Error(`"${folder.path}" holds a run already: continue it with --auto-resume, `
      + 'or choose another --tag or --output');
  }
  return resume;
}

async function save(run: Run, name: string, position: Position): Promise<void> {
  const { folder, journal, store, config, gpu, terminal, loader, trainStep } = run;
  for (const note of journal.skipped('train', position.step, loader.stats.skipped)) terminal.say(note);
  terminal.status(`writing ${name}`);
  const { lossScale } = await trainStep.report();
  await saveCheckpoint(folder.file(name), store, config, position, lossScale, versions(gpu));
  journal.log({ kind: 'checkpoint', step: position.step, file: name });
  folder.forgetInterruptions(name);
  if (config.TRAIN.KEEP_CHECKPOINTS !== null) folder.keepLatest(config.TRAIN.KEEP_CHECKPOINTS);
}

/** Evaluates the averages of the parameters, where the run keeps any, else the parameters. */
function validate(run: Run, step: number): Promise<Validated | null> {
  return run.store.withAverages(() => validateNow(run, step));
}

async function validateNow(run: Run, step: number): Promise<Validated | null> {
  const { config, validation, journal, store, terminal, options, signal, perEpoch } = run;
  const rows = Math.max(options.rows ?? 0, config.EVAL_PICTURES);
  const found = await validation.run({ signal, rows });
  if (!found) return null;
  for (const note of journal.skipped('val', step, found.skipped)) terminal.say(note);
  const epochs = Math.ceil(step / perEpoch);
  terminal.say(resultsTable({ [step === 0 ? 'at the start' : `after epoch ${epochs}`]: found.metrics }));
  const lines = await journal.evaluated(store, { ...found, step, epochs, tracked: trackedAt(run, step) });
  for (const line of lines) terminal.say(line);
  return found;
}

/** How well the model knows the images that it learns from, without augmentation. */
async function scoreTraining({ validation, journal, terminal, signal }: Run, step: number): Promise<void> {
  const found = await validation.run({ signal, split: 'train' });
  if (!found) return;
  journal.log({ kind: 'training evaluation', step, ...found.metrics });
  terminal.say(resultsTable({ 'training images': found.metrics }));
}

/** Batches that the running statistics have seen after `step` updates. */
function trackedAt({ start, config }: Run, step: number): number {
  return start.tracked + (step - start.step) * config.TRAIN.ACCUMULATION_STEPS;
}

function interrupted({ folder, options }: Run, checkpoint: string): Exit {
  const path = folder.file(checkpoint);
  return new Exit(130, `Interrupted: all is saved in "${path}". To go on:\n  ${options.resumeCommand(path)}`);
}

/** How to go on after what went wrong with the numbers, the disk or the device. */
function advised({ folder, options }: Run, error: unknown): unknown {
  const diverged = error instanceof DivergedError;
  if (!diverged && !(error instanceof WriteError) && !(error instanceof GpuError)) return error;
  const [good] = folder.checkpoints();
  const slower = 'a lower TRAIN.BASE_LR';
  const advice = good === undefined
    ? `there is no checkpoint yet, so start again${diverged ? ` with ${slower}` : ''}`
    : `the last good checkpoint is "${good}". To go on${diverged ? `, if need be with ${slower}` : ''}:\n`
      + `  ${options.resumeCommand(good)}`;
  return new Error(`${error.message}; ${advice}`, { cause: error });
}
