// What can be asked of a configuration without training it.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeBytes } from '../data/file_bytes.ts';
import { openGpu } from '../gpu/device.ts';
import { formatProfile, profile, writeChromeTrace } from '../gpu/profile.ts';
import { averaged, readCheckpoint } from './checkpoint.ts';
import { modelSpec, type Config } from './config.ts';
import { formatParams, paramsReport } from './params_report.ts';
import { adviceTable, describeFootprint, fits, planAlternatives, planRun } from './planning.ts';
import { describeModel, frozenOf, openModel } from './prepare.ts';
import { resultsTable } from './results.ts';
import { furthestCheckpoint } from './run_folder.ts';
import { compileTrainStep } from './step.ts';
import { Exit, type Terminal } from './terminal.ts';
import { openValidation } from './validation.ts';

type Options = {
  readonly folder: string;
  readonly device?: string | undefined;
  readonly plainKernels?: boolean | undefined;
};

/** Evaluates the model of MODEL.RESUME, else of the folder's furthest checkpoint. */
export async function runEvaluation(
  config: Config, { folder, ...choice }: Options, terminal: Terminal,
): Promise<void> {
  await using cleanup = new AsyncDisposableStack();
  const file = config.MODEL.RESUME || furthestCheckpoint(folder);
  if (file === null) throw new Error(`--eval: there is no checkpoint in "${folder}": name one with --resume`);
  const read = await readCheckpoint(file);
  const checkpoint = config.TRAIN.EMA_DECAY > 0 ? averaged(read) : read;
  const gpu = cleanup.adopt(await openGpu({ ...choice, say: terminal.say }), (open) => open.close());
  for (const line of describeModel(gpu, config)) terminal.say(line);
  const { store } = await openModel(gpu, config, terminal.say, checkpoint);
  const found = await openValidation(gpu, store, config, terminal).run({ signal: terminal.interruption() });
  if (!found) throw new Exit(130, 'Interrupted: the evaluation is not complete');
  for (const problem of found.skipped.keys()) terminal.say(`warning: ${problem}; the sample is left out`);
  terminal.say(resultsTable({ [found.skipped.size > 0 ? 'the others' : 'all images']: found.metrics }));
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'evaluation.json');
  const skipped = found.skipped.size > 0 ? { skipped: Object.fromEntries(found.skipped) } : {};
  const written = { checkpoint: file, ...found.metrics, ...skipped };
  writeBytes(path, [Buffer.from(`${JSON.stringify(written, null, 2)}\n`)]);
  terminal.say(`output     ${path}`);
}

/** Times every kernel of a training step, which needs neither data nor weights. */
export async function runProfile(
  config: Config, { folder, ...choice }: Options, terminal: Terminal,
): Promise<void> {
  await using cleanup = new AsyncDisposableStack();
  const gpu = cleanup.adopt(await openGpu({ ...choice, say: terminal.say }), (open) => open.close());
  for (const line of describeModel(gpu, config)) terminal.say(line);
  const { store } = await openModel(gpu, config, terminal.say, null, frozenOf(config));
  const { programs } = await compileTrainStep(gpu, store, config, config.DATA.BATCH_SIZE);
  mkdirSync(folder, { recursive: true });
  for (const program of programs) {
    const { rows, dispatches, totalMs } = await profile(gpu, program);
    const { label } = program;
    terminal.say(`profile    ${label}: ${dispatches.length} launches, ${totalMs.toFixed(3)} ms`);
    terminal.say(formatProfile(rows));
    const [json, trace] = ['profile', 'trace'].map((name) =>
      join(folder, `${name}${program === programs[0] ? '' : `-${label}`}.json`)) as [string, string];
    writeBytes(json, [Buffer.from(`${JSON.stringify({ label, totalMs, rows }, null, 2)}\n`)]);
    writeChromeTrace(trace, dispatches);
    terminal.say(`output     ${json}, and ${trace} for chrome://tracing or ui.perfetto.dev`);
  }
}

/**
 * Says what a configuration's run takes of a device, which needs neither data nor weights nor the room
 * itself; where it does not fit, throws `Exit` after saying what would.
 */
export async function runPlan(
  config: Config,
  { device, plainKernels, memoryLimit }: Options & { readonly memoryLimit?: number | undefined },
  terminal: Terminal,
): Promise<void> {
  await using cleanup = new AsyncDisposableStack();
  const gpu = cleanup.adopt(await openGpu({ device, plainKernels, unchecked: true }),
    (open) => open.close());
  for (const line of describeModel(gpu, config)) terminal.say(line);
  terminal.say(formatParams(paramsReport(modelSpec(config))));
  const limit = memoryLimit === undefined ? null : memoryLimit * 2 ** 30;
  const footprint = await planRun(gpu, config);
  for (const line of describeFootprint(footprint)) terminal.say(line);
  if (fits(footprint, limit)) return;
  terminal.say(`advice     ${config.DATA.BATCH_SIZE} images a batch do not fit; planned alternatives:`);
  terminal.say(adviceTable(await planAlternatives(gpu, config, limit)));
  throw new Exit(1, 'plan: the run does not fit the device');
}
