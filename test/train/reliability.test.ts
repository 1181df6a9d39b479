import { existsSync, lstatSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import type * as gpuDevice from '../../src/gpu/device.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { Config } from '../../src/train/config.ts';
import { runTraining, type RunOptions } from '../../src/train/run.ts';
import { RunFolder, runPath } from '../../src/train/run_folder.ts';
import { digests, listen, mtloraTrain, useTinyRun } from '../support/tiny_run.ts';

/** The device of the run under way. */
const opened = vi.hoisted((): { gpu: Gpu | null } => ({ gpu: null }));
vi.mock('../../src/gpu/device.ts', async (original) => {
  const device = await original<typeof gpuDevice>();
  const openGpu = async (...options: Parameters<typeof device.openGpu>): Promise<Gpu> =>
    opened.gpu = await device.openGpu(...options);
  return { ...device, openGpu };
});

const tiny = useTinyRun();
const LAST = 'ckpt_epoch_2.safetensors';
const FULL = '/dev/full';

const run = (config: Config, terminal = listen(), more: Partial<RunOptions> = {}) => runTraining(config, {
  folder: runPath(config), resumeCommand: (file) => `mtlora-train --resume ${file}`, ...more,
}, terminal);

let whole: Promise<string[]> | null = null;

/** What a run ends with that nothing disturbed. */
function undisturbed(): Promise<string[]> {
  const config = tiny.config(tiny.folder('whole'));
  return whole ??= run(config).then(() => digests(join(runPath(config), LAST)));
}

const onLinux = test.runIf(existsSync(FULL));

onLinux('runTraining() on a full disk keeps the last checkpoint and says how to go on', async () => {
  const config = tiny.config(tiny.folder('full'));
  const folder = runPath(config);
  mkdirSync(folder, { recursive: true });
  symlinkSync(FULL, join(folder, 'ckpt_epoch_1.safetensors.tmp'));
  const good = join(folder, 'ckpt_epoch_0.safetensors');
  await expect(run(config)).rejects.toThrow(
    `Cannot write "${join(folder, 'ckpt_epoch_1.safetensors')}": the disk is full; the last good checkpoint `
    + `is "${good}". To go on:\n  mtlora-train --resume ${good}`);
  expect(lstatSync(join(folder, 'ckpt_epoch_1.safetensors'), { throwIfNoEntry: false })).toBeUndefined();
  await run(config, listen(), { autoResume: true });
  expect(digests(join(folder, LAST))).toEqual(await undisturbed());
});

onLinux('RunFolder.log() says which file the disk has no room for', () => {
  const folder = new RunFolder(tiny.folder('full'));
  symlinkSync(FULL, folder.file('log.jsonl'));
  expect(() => folder.log({ kind: 'start', step: 0 })).toThrow(
    `Cannot write "${folder.file('log.jsonl')}": the disk is full`);
  folder.close();
});

test('runTraining() whose device is lost names the last checkpoint, which goes on bit for bit', async () => {
  const config = tiny.config(tiny.folder('lost'));
  const folder = runPath(config);
  const terminal = listen((line) => {
    if (line.startsWith('epoch 2/3  step 1/')) opened.gpu!.device.destroy();
  });
  const good = join(folder, 'ckpt_epoch_0.safetensors');
  await expect(run(config, terminal)).rejects.toThrow(
    /the device was lost \(.*\): start again from the last checkpoint; the last good checkpoint is "(.*)"/);
  await run(config, listen(), { autoResume: true });
  expect(existsSync(good)).toBe(true);
  expect(digests(join(folder, LAST))).toEqual(await undisturbed());
});

test('mtlora-train does not write into a folder that another process writes', async () => {
  const output = tiny.folder('shared');
  const path = join(output, 'tiny', 'default');
  const held = new RunFolder(path);
  const { code, stderr } = mtloraTrain(tiny.args(output));
  expect(code).toBe(1);
  expect(stderr).toContain(`"${path}" is being written by process ${process.pid}`);
  held.close();
  expect(readdirSync(path)).toEqual([]);
});
