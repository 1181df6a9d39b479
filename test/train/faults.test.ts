import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeRgbPng } from '../../src/data/png.ts';
import { runTraining } from '../../src/train/run.ts';
import { RunFolder, runPath } from '../../src/train/run_folder.ts';
import { listen, mtloraTrain, readLog, useTinyRun } from '../support/tiny_run.ts';

const tiny = useTinyRun();

/** One sentence on stderr, whatever Dawn's own warnings are; no stack. */
function sentence(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('Warning: max'));
  expect(lines.some((line) => /^\s+at /.test(line))).toBe(false);
  return lines.join('\n');
}

test.each<[string, (output: string) => string[], RegExp]>([
  ['a missing folder of data', (output) => tiny.args(output, '--pascal', '/nowhere'),
    /^Cannot read "\/nowhere\/ImageSets\/Context\/train\.txt": no such file$/],
  ['no folder of data', (output) => ['--cfg', tiny.yaml, '--output', output],
    /^Where is the data\? Give its folder with --pascal$/],
  ['a truncated JPEG', (output) => tiny.args(output, '--pascal', damaged((data) => {
    truncateSync(join(data, 'JPEGImages/train_000003.jpg'), 300);
  })), /^Cannot read ".*\/JPEGImages\/train_000003\.jpg": .+$/],
  ['a label of another size', (output) => tiny.args(output, '--pascal', damaged((data) => {
    const picture = { width: 4, height: 3, data: new Uint8Array(36) };
    writeRgbPng(join(data, 'normals_distill/train_000002.png'), picture);
  })), /^Cannot read ".*train_000002\.png": it must be 48x40 as its map of classes, got 4x3$/],
  ['a missing label', (output) => tiny.args(output, '--pascal', damaged((data) => {
    rmSync(join(data, 'sal_distill/val_000001.png'));
  })), /^Cannot read ".*val_000001\.png": no such file, which task "sal" of "val_000001" needs$/],
  ['a typo in YAML', (output) => {
    const yaml = `${readFileSync(tiny.yaml, 'utf8')}\nSAVE_FREK: 1\n`;
    const file = join(output, 'typo.yaml');
    writeFileSync(file, yaml);
    return ['--cfg', file, '--pascal', tiny.data, '--output', output];
  }, /^\S+typo\.yaml:19:1 SAVE_FREK: no such field, did you mean "SAVE_FREQ"$/],
  ['a missing configuration', () => ['--cfg', '/nowhere.yaml'], /^cannot read "\/nowhere\.yaml": ENOENT.*$/],
  ['a missing checkpoint', (output) => tiny.args(output, '--resume', '/nowhere.safetensors'),
    /^Cannot read "\/nowhere\.safetensors": no such file$|^Cannot read "\/nowhere\.safetensors": ENOENT/],
  ['an adapter that is not there', (output) => tiny.args(output, '--device', 'voodoo'),
    /^--device: must be .* one of 0: ".*", got "voodoo"$/],
  ['a batch that is larger than the data', (output) => tiny.args(output, '--batch-size', '9'),
    /^DATA\.BATCH_SIZE: must be at most the 8 images of the training split, got 9$/],
  ['nothing to evaluate', (output) => tiny.args(output, '--eval'),
    /^--eval: there is no checkpoint in "\S+": name one with --resume$/],
])('mtlora-train refuses %s in one sentence', (_, args, says) => {
  const { code, stderr } = mtloraTrain(args(tiny.folder('refused')));
  expect(sentence(stderr)).toMatch(says);
  expect(code).toBe(1);
});

function damaged(damage: (data: string) => void): string {
  const data = tiny.copyOfData();
  damage(data);
  return data;
}

test('mtlora-train suggests the nearest flag, and accepts what launchers give', () => {
  const { code, stderr } = mtloraTrain(tiny.args('x', '--resume-bakbone', 'y'));
  expect(code).toBe(2);
  expect(stderr).toContain('--resume-backbone');
  const leftovers = ['--local_rank', '0', '--disable_wandb', '--run_name', 'x', '--fused_layernorm'];
  const refused = mtloraTrain(['--cfg', '/nowhere.yaml', ...leftovers]);
  expect(sentence(refused.stderr)).toMatch(/^cannot read "\/nowhere\.yaml"/);
});

test('runTraining() stops at a loss that is not finite, and names the last good checkpoint', async () => {
  const config = tiny.config(tiny.folder('diverged'));
  const options = { folder: runPath(config), resumeCommand: (file: string) => `again ${file}` };
  const opts = ['TRAIN.BASE_LR', '1e38', 'TRAIN.WARMUP_LR', '1e38', 'TRAIN.EPOCHS', '4'];
  const wild = tiny.config(tiny.folder('wild'), ...opts);
  const told = new RegExp('^Update 2 \\(epoch 1\\): the loss of ".*" must be finite, got NaN, which "[^"]+" '
    + 'brought in first \\("\\w+", element \\d+\\); it was left out; there is no checkpoint yet');
  await expect(runTraining(wild, { ...options, folder: runPath(wild), anomaly: true }, listen())).rejects
    .toThrow(told);

  await runTraining(config, options, listen());
  const hot = { ...config, TRAIN: { ...config.TRAIN, EPOCHS: 4, BASE_LR: 1e38, WARMUP_EPOCHS: 0 } };
  await expect(runTraining(hot, { ...options, autoResume: true }, listen())).rejects
    .toThrow(/^Update 1[34] \(epoch 4\): the .* must be finite.*ckpt_epoch_2\.safetensors/s);
});

test('runTraining() refuses a folder that holds a run, and a run of another kind', async () => {
  const config = tiny.config(tiny.folder('first'), 'TRAIN.EPOCHS', '1');
  const options = { folder: runPath(config), resumeCommand: () => '' };
  await runTraining(config, options, listen());
  await expect(runTraining(config, options, listen())).rejects
    .toThrow(/holds a run already: .*--auto-resume/);
  const checkpoint = join(options.folder, 'ckpt_epoch_0.safetensors');
  const resumed = (...opts: string[]) => runTraining(
    tiny.config(tiny.folder('second'), 'MODEL.RESUME', checkpoint, ...opts),
    { ...options, folder: tiny.folder('other') }, listen());
  await expect(resumed('DATA.BATCH_SIZE', '4')).rejects
    .toThrow(/^Cannot resume from ".*": DATA\.BATCH_SIZE must be 2 as in that run, got 4 \(--weights-only/);
  await expect(resumed('MODEL.SWIN.EMBED_DIM', '16')).rejects
    .toThrow(/^Cannot load checkpoint ".*": "backbone\.\S+" must be \[16.*\], got \[8/);
  await expect(resumed('MODEL.MTLORA.FREEZE_PRETRAINED', 'false')).rejects
    .toThrow(/^Cannot resume from ".*": what trains must be the same as in that run, "\S+" differs/);
});

test('RunFolder lets one process in at a time, and the next one after a death', () => {
  const path = tiny.folder('shared');
  const first = new RunFolder(path);
  expect(() => new RunFolder(path)).toThrow(`"${path}" is being written by process ${process.pid}`);
  first.close();
  const own = JSON.stringify({ pid: process.ppid, host: hostname(), started: startOf(process.ppid) });
  writeFileSync(join(path, 'run.lock'), own);
  expect(() => new RunFolder(path)).toThrow(`process ${process.ppid} on ${hostname()}: choose another --tag`);
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  writeFileSync(join(path, 'run.lock'), JSON.stringify({ pid: dead, host: hostname(), started: '1' }));
  new RunFolder(path).close();
});

function startOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
}

test('RunFolder.rewind() forgets lines of later steps and half-written ones', () => {
  const path = tiny.folder('rewound');
  const folder = new RunFolder(path);
  for (const step of [1, 2, 3]) folder.log({ kind: 'train', step });
  writeFileSync(join(path, 'log.jsonl'), `${readFileSync(join(path, 'log.jsonl'), 'utf8')}{"kind":"tr`);
  for (const name of ['ckpt_epoch_0', 'ckpt_epoch_1_step_7', 'ckpt_epoch_1']) {
    writeFileSync(join(path, `${name}.safetensors`), '');
  }
  expect(folder.checkpoints()).toEqual(['ckpt_epoch_1', 'ckpt_epoch_1_step_7', 'ckpt_epoch_0']
    .map((name) => join(path, `${name}.safetensors`)));
  folder.rewind(2, join(path, 'ckpt_epoch_0.safetensors'));
  expect(readLog(path).map(({ step }) => step)).toEqual([1, 2]);
  expect(folder.checkpoints()).toEqual([join(path, 'ckpt_epoch_0.safetensors')]);
  folder.rewind(0, null);
  expect(readLog(path)).toEqual([]);
  folder.close();
});
