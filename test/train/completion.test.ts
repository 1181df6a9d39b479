// The scripts that `completion` writes, run by the shells that are here.
import { spawnSync } from 'node:child_process';
import { expect, test as anywhere } from 'vitest';
import { bashCompletion } from '../../src/train/completion/bash.ts';
import { fishCompletion } from '../../src/train/completion/fish.ts';
import { completedCommands } from '../../src/train/completion/words.ts';
import { zshCompletion } from '../../src/train/completion/zsh.ts';
import { createProgram } from '../../src/train/commands/program.ts';
import { folderWith } from '../support/folder.ts';
import { listen } from '../support/tiny_run.ts';

const COMMANDS = completedCommands(createProgram(listen()));
const FILES = { 'some.yaml': '', 'some folder/x': '', 'other.pth': '' };

const hasShell = (name: string): boolean => spawnSync(name, ['--version']).status === 0;
const test = anywhere.skipIf(!hasShell('bash'));

function run(shell: string, args: readonly string[], script: string): string[] {
  const cwd = folderWith({ ...FILES, script });
  const { stdout, stderr, status } = spawnSync(shell, args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${shell} ended with ${status}: ${stderr}`);
  return stdout.split('\n').filter((line) => line !== '');
}

/** What bash offers behind these words; the last is being typed. */
function bash(...words: string[]): string[] {
  const ask = 'source ./script; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mtlora_train; '
    + 'printf "%s\\n" "${COMPREPLY[@]}"';
  return run('bash', ['-c', ask, 'bash', 'mtlora-train', ...words], bashCompletion(COMMANDS));
}

test('completion knows every command, and all its flags but hidden ones', () => {
  const names = COMMANDS.map(({ name }) => name);
  expect(names).toContain('train');
  expect(bash('')).toEqual(names);
  const flags = COMMANDS.find(({ name }) => name === 'train')!.options.flatMap((option) => option.flags);
  expect(flags).toEqual(expect.arrayContaining(['--cfg', '--tasks', '--plan', '--help']));
  expect(flags).not.toContain('--local_rank');
  expect(bash('--')).toEqual(flags);
});

test('completion in bash offers the flags of the command', () => {
  expect(bash('de')).toEqual(['demo', 'devices']);
  expect(bash('devices', '--')).toEqual(['--no-test', '--device', '--help']);
  expect(bash('--eval')).toEqual(['--eval', '--eval-freq', '--eval-training-freq']);
  expect(bash('train', '--cfg', 'some.yaml', '--see')).toEqual(['--seed']);
});

test('completion in bash offers what a flag takes', () => {
  expect(bash('--optim', '')).toEqual(['adamw', 'sgd', 'fused_adam']);
  expect(bash('merge', '--task', 'se')).toEqual(['semseg']);
  expect(bash('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  expect(bash('--cfg', 'some').toSorted()).toEqual(['some folder', 'some.yaml']);
  expect(bash('--cfg', '=', 'some.')).toEqual(['some.yaml']);
  expect(bash('--pascal', '')).toEqual(['some folder']);
  expect(bash('predict', 'oth')).toEqual(['other.pth']);
  expect(bash('--batch-size', '')).toEqual([]);
});

test('completion in bash offers tasks that are not in the list yet', () => {
  expect(bash('--tasks', 's')).toEqual(['semseg', 'sal']);
  expect(bash('--tasks', 'semseg,')).toEqual(
    ['semseg,normals', 'semseg,sal', 'semseg,human_parts', 'semseg,edge', 'semseg,depth']);
  expect(bash('--tasks', 'sal,semseg,s')).toEqual([]);
});

test('completion in bash offers fields behind --opts, up to the next flag', () => {
  expect(bash('--opts', 'TRAIN.EPO')).toEqual(['TRAIN.EPOCHS']);
  expect(bash('--opts', 'SEED', '3', 'DATA.IMG')).toEqual(['DATA.IMG_SIZE']);
  expect(bash('--opts', 'SEED', '3', '--epoc')).toEqual(['--epochs']);
});

anywhere.skipIf(!hasShell('zsh'))('completion in zsh is a script that zsh takes', () => {
  const ask = 'autoload -U compinit; compinit -u -D; source ./script; print $_comps[mtlora-train]';
  expect(run('zsh', ['-f', '-c', ask], zshCompletion(COMMANDS))).toEqual(['_mtlora_train']);
});

anywhere('completion in zsh writes each flag with what it says and takes', () => {
  const lines = zshCompletion(COMMANDS).split('\n').map((line) => line.trim().replace(/ \\$/, ''));
  expect(lines).toEqual(expect.arrayContaining([
    '\'devices:List the adapters that --device chooses from, their limits, and test speed and correctness\'',
    '\'--batch-size[images of a batch]:text: \'',
    '\'--optim[optimizer]:word:(adamw sgd fused_adam)\'',
    '\'--from[checkpoint to read (.pth, .safetensors)]:file:_files\'',
  ]));
});

anywhere.skipIf(!hasShell('fish'))('completion in fish offers commands, flags and what they take', () => {
  const fish = (line: string): string[] =>
    run('fish', ['--no-config', '-c', `source ./script; complete -C '${line}'`], fishCompletion(COMMANDS))
      .map((found) => found.split('\t')[0]!);
  expect(fish('mtlora-train de').toSorted()).toEqual(['demo', 'devices']);
  expect(fish('mtlora-train --optim ').toSorted()).toEqual(['adamw', 'fused_adam', 'sgd']);
  expect(fish('mtlora-train export --fr')).toEqual(['--from']);
  expect(fish('mtlora-train --tasks semseg,n')).toEqual(['semseg,normals']);
});
