import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Config } from '../../src/train/config.ts';
import { runTraining, type RunOptions } from '../../src/train/run.ts';
import { runPath } from '../../src/train/run_folder.ts';
import {
  digests, listen, mtloraTrain, readLog, startMtloraTrain, useTinyRun,
} from '../support/tiny_run.ts';

const tiny = useTinyRun();
const LAST = 'ckpt_epoch_2.safetensors';

const run = (config: Config, terminal = listen(), more: Partial<RunOptions> = {}) => runTraining(config, {
  folder: runPath(config), resumeCommand: (file) => `mtlora-train --resume ${file}`, ...more,
}, terminal);

/** Stops at the line that tells update `step` of epoch `epoch`. */
const stopAt = (epoch: number, step: number) => listen((line, stop) => {
  if (line.startsWith(`epoch ${epoch}/3  step ${step}/`)) stop();
});

let uninterrupted: Promise<string> | null = null;

/** The folder of the run that nothing disturbed. */
function wholeRun(): Promise<string> {
  const config = tiny.config(tiny.folder('whole'));
  return uninterrupted ??= run(config).then(() => runPath(config));
}

test('runTraining() saves an interrupted run, which continues bit for bit', async () => {
  const whole = await wholeRun();
  const want = digests(join(whole, LAST));
  expect(want.some((line) => line.startsWith('optimizer.exp_avg_sq.decoders'))).toBe(true);
  expect(want.some((line) => line.includes('.num_batches_tracked I64'))).toBe(true);

  const config = tiny.config(tiny.folder('interrupted'));
  const folder = runPath(config);
  await expect(run(config, stopAt(2, 2))).rejects.toMatchObject({ exitCode: 130 });
  const [saved] = readdirSync(folder).filter((name) => /_step_/.test(name));
  expect(saved).toMatch(/^ckpt_epoch_1_step_\d+\.safetensors$/);

  await run(config, listen(), { autoResume: true });
  expect(digests(join(folder, LAST))).toEqual(want);
  expect(existsSync(join(folder, saved!))).toBe(false);
  const log = readLog(folder);
  expect(log.filter(({ kind }) => kind === 'start').map(({ step }) => step)).toEqual([0, log.find(
    ({ kind, file }) => kind === 'checkpoint' && file === saved)!.step]);
  const evaluation = (path: string) => readLog(path).findLast(({ kind }) => kind === 'evaluation');
  expect(evaluation(folder)).toEqual(evaluation(whole));
});

test('runTraining() continues bit for bit with accumulated gradients and batches left over', async () => {
  const opts = ['EVAL_TRAINING', '2', 'TRAIN.ACCUMULATION_STEPS', '3', 'TRAIN.OPTIMIZER.NAME', 'sgd',
    'DATA.BATCH_SIZE', '1'];
  const whole = tiny.config(tiny.folder('whole'), ...opts);
  await run(whole);
  const config = tiny.config(tiny.folder('interrupted'), ...opts);
  await expect(run(config, stopAt(1, 2))).rejects.toMatchObject({ exitCode: 130 });
  await run(config, listen(), { autoResume: true });
  expect(digests(join(runPath(config), LAST))).toEqual(digests(join(runPath(whole), LAST)));
  expect(readLog(runPath(config)).filter(({ kind }) => kind === 'training evaluation'))
    .toMatchObject([{ step: 6, images: 8 }]);
});

test('mtlora-train killed at any moment continues to the same weights', async () => {
  const whole = await wholeRun();
  const output = tiny.folder('killed');
  const folder = join(output, 'tiny', 'default');
  for (const step of [2, 7]) {
    const child = startMtloraTrain(tiny.args(output, '--auto-resume'));
    const gone = new Promise((resolve) => { child.on('exit', (_, signal) => resolve(signal)); });
    while (child.exitCode === null && !readLog(folder).some((entry) => entry.step >= step)) {
      await new Promise((resolve) => { setTimeout(resolve, 5); });
    }
    child.kill('SIGKILL');
    expect(await gone).toBe('SIGKILL');
  }
  expect(mtloraTrain(tiny.args(output, '--auto-resume'))).toMatchObject({ code: 0 });
  expect(digests(join(folder, LAST))).toEqual(digests(join(whole, LAST)));
});

test('mtlora-train ends on SIGTERM with all saved and the command that continues', async () => {
  const output = tiny.folder('stopped');
  const child = startMtloraTrain(tiny.args(output));
  let stderr = '';
  child.stderr!.on('data', (text) => { stderr += text; });
  const gone = new Promise((resolve) => { child.on('exit', resolve); });
  const log = () => readLog(join(output, 'tiny', 'default'));
  while (child.exitCode === null && !log().some(({ kind }) => kind === 'train')) {
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
  child.kill('SIGTERM');
  expect(await gone).toBe(130);
  const [, command] = stderr.split('To go on:\n');
  expect(command)
    .toMatch(/^ {2}mtlora-train --cfg \S+ --pascal \S+ --output \S+ --resume \S+_step_\d+\.safetensors\n$/);
  expect(mtloraTrain(command!.trim().split(' ').slice(1)).code).toBe(0);
  expect(existsSync(join(output, 'tiny', 'default', LAST))).toBe(true);
});

test('runTraining() takes the checkpoint before one that is damaged, and says so', async () => {
  const config = tiny.config(tiny.folder('damaged'));
  await run(config);
  const folder = runPath(config);
  const bytes = readFileSync(join(folder, LAST));
  bytes[bytes.length - 5]! ^= 1;
  writeFileSync(join(folder, LAST), bytes);
  const terminal = listen();
  await run(config, terminal, { autoResume: true });
  expect(terminal.lines.find((line) => line.startsWith('warning')))
    .toMatch(/ckpt_epoch_2.*SHA-256.*the checkpoint before it/);
  expect(terminal.lines.some((line) => line.endsWith('continued after update 8'))).toBe(true);

  const anew = listen((line, stop) => { if (line.startsWith('epoch 1/3')) stop(); });
  await expect(run(config, anew, { autoResume: true, startOver: true })).rejects
    .toMatchObject({ exitCode: 130 });
  expect(readLog(folder)[0]).toMatchObject({ kind: 'start', step: 0 });
});
