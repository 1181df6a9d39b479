import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSafetensors } from '../../src/data/safetensors.ts';
import { readCheckpoint } from '../../src/train/checkpoint.ts';
import { loadConfig, modelSpec, type Config } from '../../src/train/config.ts';
import { exportedState } from '../../src/train/export.ts';
import { learnedWeights, logVariances, LOSS_WEIGHTS } from '../../src/train/loss.ts';
import { runTraining, type RunOptions } from '../../src/train/run.ts';
import { runPath } from '../../src/train/run_folder.ts';
import { fitWeights } from '../../src/train/weights.ts';
import { digests, listen, readLog, useTinyRun } from '../support/tiny_run.ts';

const tiny = useTinyRun();
const LAST = 'ckpt_epoch_2.safetensors';

/** A run with learned weights, which averages too: the weights' averages must go the same ways. */
const config = (...opts: string[]): Config => loadConfig(tiny.yaml, ['TRAIN.EMA_DECAY', '0.9', ...opts], {
  pascal: tiny.data, output: tiny.folder('weighting'), lossWeighting: 'uncertainty', tensorboard: true,
}).config;

const run = (of: Config, terminal = listen(), more: Partial<RunOptions> = {}) => runTraining(of, {
  folder: runPath(of), resumeCommand: (file) => file, ...more,
}, terminal);

test('logVariances() starts at the weights of the paper', () => {
  const tasks = ['semseg', 'sal', 'normals', 'depth', 'edge'] as const;
  const { parts, shape } = logVariances(tasks);
  const values = parts.map(({ parameter: { init } }) => init.kind === 'constant' ? init.value : NaN);
  expect(shape).toEqual([5]);
  for (const [task, weight] of learnedWeights(tasks, Float32Array.from(values))) {
    expect(weight).toBeCloseTo(LOSS_WEIGHTS[task], 4);
  }
});

test('runTraining() learns the losses\' weights, tells them, and continues bit for bit', async () => {
  const whole = config();
  const terminal = listen();
  await run(whole, terminal);
  const folder = runPath(whole);
  const told = readLog(folder).filter(({ kind }) => kind === 'train').map(({ weights }) => weights) as
    Record<string, number>[];
  expect(Object.keys(told[0]!)).toEqual(['semseg', 'sal', 'normals']);
  expect(told.at(-1)!.sal).not.toBe(told[0]!.sal);
  expect(terminal.lines.find((line) => line.startsWith('epoch 1/3'))).toMatch(
    /weights semseg \d+\.\d{3}, sal \d+\.\d{3}, normals \d+\.\d{3}/);
  expect(readFileSync(join(folder, 'report.html'), 'utf8')).toContain('learned weights of the losses');

  const interrupted = config();
  const stop = listen((line, end) => { if (line.startsWith('epoch 2/3  step 2/')) end(); });
  await expect(run(interrupted, stop)).rejects.toMatchObject({ exitCode: 130 });
  await run(interrupted, listen(), { autoResume: true });
  const want = digests(join(folder, LAST));
  for (const kept of ['', 'exp_avg.', 'exp_avg_sq.', 'ema.']) {
    expect(want.some((line) => line.startsWith(`optimizer.${kept}loss.log_variance.sal F32 [1]`))).toBe(true);
  }
  expect(digests(join(runPath(interrupted), LAST))).toEqual(want);
});

test('runTraining() leaves the weights out of models, and refuses another weighting', async () => {
  const short = config('TRAIN.EPOCHS', '1');
  await run(short);
  const [file] = [join(runPath(short), 'ckpt_epoch_0.safetensors')];
  const { model, run: saved } = await readCheckpoint(file);
  expect([...saved!.beside.keys()]).toEqual(
    ['loss.log_variance.semseg', 'loss.log_variance.sal', 'loss.log_variance.normals']);
  const spec = modelSpec(short);
  const weights = fitWeights(spec, model, file);
  expect(weights.lines.join()).not.toContain('loss.');
  const best = readSafetensors(join(runPath(short), 'best.safetensors')).tensors;
  for (const names of [exportedState(spec, weights, file).keys(), best.keys()]) {
    expect([...names].filter((name) => name.includes('log_variance'))).toEqual([]);
  }
  const fixed = tiny.config(tiny.folder('fixed'), 'MODEL.RESUME', file);
  await expect(run(fixed)).rejects.toThrow('what trains must be the same as in that run, '
    + '"loss.log_variance.semseg" differs (--weights-only starts a new run from its weights)');
});
