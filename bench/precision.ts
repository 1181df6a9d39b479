// Whether training in f16 learns what f32 does: the demo's model and pictures, in f32 with two seeds and in
// f16 with the first. What f16 changes must be within what the seed changes.
//
//   node bench/precision.ts [--quick] [--json FILE]
//
// --quick takes 24 steps instead of 200. Without --json the result is bench/results/precision-<adapter>.json.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeSyntheticPascal } from '../src/data/synth/write.ts';
import type { Gpu } from '../src/gpu/device.ts';
import { loadConfig, type Config } from '../src/train/config.ts';
import { Monitor, type Summary } from '../src/train/monitor.ts';
import { frozenOf, openModel, openSplit } from '../src/train/prepare.ts';
import { buildSchedule, rateOfUpdate } from '../src/train/schedule.ts';
import { compileTrainStep } from '../src/train/step.ts';
import { openBench, ROOT } from './support/machine.ts';
import { readOptions } from './support/options.ts';
import { mib, percent, table, writeJson } from './support/report.ts';

const WINDOWS = 8;
const PICTURES = { train: 128, val: 16, size: [120, 160], seed: 1 } as const;   // the demo's

type Run = {
  readonly name: string;
  /** Mean losses of each window of steps. */
  readonly windows: readonly Summary['loss'][];
  readonly leftOut: number;
  readonly lossScale: number | null;
  /** Of the step's activations and gradients, and of all on the device. */
  readonly peakBytes: number;
  readonly deviceBytes: number;
  readonly cpuMsPerStep: number;
};

const options = readOptions();
const steps = options.quick ? 24 : 200;
const { gpu, machine } = await openBench(options.device);
const data = mkdtempSync(join(tmpdir(), 'mtlora-precision-'));
try {
  await writeSyntheticPascal({ root: data, ...PICTURES });
  const exact = await train(gpu, 'f32, seed 0', 'f32', 0);
  const seeded = await train(gpu, 'f32, seed 1', 'f32', 1);
  const half = await train(gpu, 'f16, seed 0', 'f16', 0);
  const losses = Object.keys(exact.windows[0]!).map((loss) => {
    const [noise, change] = [apart(exact, seeded, loss), apart(exact, half, loss)];
    return { loss, last: [exact, seeded, half].map(({ windows }) => windows.at(-1)![loss]!), noise, change };
  });
  const within = losses.every(({ noise, change }) => change <= noise);
  console.log(table(
    ['loss, last steps', exact.name, seeded.name, half.name, 'by seed', 'by f16'],
    losses.map(({ loss, last, noise, change }) =>
      [loss, ...last.map((value) => value.toFixed(4)), percent(noise), percent(change)]),
  ));
  for (const { name, peakBytes, deviceBytes, cpuMsPerStep, lossScale, leftOut } of [exact, half]) {
    const scale = lossScale === null ? '' : `, loss scale ${lossScale}, ${leftOut} left out`;
    console.log(`${name}: ${mib(peakBytes)} at the peak of a step, ${mib(deviceBytes)} in all, `
      + `${cpuMsPerStep.toFixed(0)} CPU ms a step${scale}`);
  }
  console.log(`f16 is ${within ? '' : 'NOT '}within the noise of seeds`);
  const file = options.json ?? join(ROOT, 'bench/results', `precision-${slug(machine.adapter)}.json`);
  mkdirSync(join(file, '..'), { recursive: true });
  writeJson(file, { machine, steps, within, losses, runs: [exact, seeded, half] });
  process.exitCode = within ? 0 : 1;
} finally {
  gpu.close();
  rmSync(data, { recursive: true });
}

async function train(device: Gpu, name: string, precision: string, seed: number): Promise<Run> {
  const { config } = loadConfig(join(ROOT, 'configs/demo.yaml'),
    ['SEED', String(seed), 'PRECISION', precision, 'TRAIN.EPOCHS', '13'],
    { pascal: data, resumeBackbone: join(ROOT, 'configs/demo_backbone.safetensors') });
  const before = device.memory.bytes;
  const { store } = await openModel(device, config, () => undefined, null, frozenOf(config));
  const step = await compileTrainStep(device, store, config, config.DATA.BATCH_SIZE);
  const deviceBytes = device.memory.bytes - before;
  const { windows, cpuMs } = await runSteps(step, config);
  const { skipped, lossScale } = await step.report();
  const peakBytes = step.programs.reduce((most, { plan }) => Math.max(most, plan.peakBytes), 0);
  step.destroy();
  store.destroy();
  return {
    name, windows, leftOut: skipped, lossScale: lossScale?.scale ?? null, peakBytes, deviceBytes,
    cpuMsPerStep: cpuMs / steps,
  };
}

async function runSteps(
  step: Awaited<ReturnType<typeof compileTrainStep>>, config: Config,
): Promise<{ windows: Summary['loss'][]; cpuMs: number }> {
  const loader = openSplit(config, 'train');
  const schedule = buildSchedule(config, loader.batchesPerEpoch);
  const monitor = new Monitor(config.DATA.BATCH_SIZE);
  const windows: Summary['loss'][] = [];
  const start = process.cpuUsage();
  for (let at = 0; at < steps; at++) {
    const lr = rateOfUpdate(schedule, at);
    step.run([await loader.next()], { step: at, seed: config.SEED, lr });
    monitor.add({ step: at, epoch: 0, lr, report: await step.report() });
    if ((at + 1) % (steps / WINDOWS) === 0) windows.push(monitor.summary(0).loss);
  }
  const { user, system } = process.cpuUsage(start);
  loader.close();
  return { windows, cpuMs: (user + system) / 1000 };
}

/** How far a loss of two runs is apart, relative to the first: root mean square over the windows. */
function apart(a: Run, b: Run, loss: string): number {
  const squares = a.windows.map((window, i) => (b.windows[i]![loss]! / window[loss]! - 1) ** 2);
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length);
}

function slug(text: string): string {
  return text.replace(/[^\w]+/g, '-').replace(/-+$/, '');
}
