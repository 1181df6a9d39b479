import { spawnSync } from 'node:child_process';
import { CommanderError } from 'commander';
import { expect, test } from 'vitest';
import { runProgram } from '../src/train/commands/program.ts';
import { nearest } from '../src/train/nearest.ts';
import { idleProgram } from './support/program.ts';
import { mtloraTrain } from './support/tiny_run.ts';

/** The first line of what a command line is refused with. */
async function refusal(...args: string[]): Promise<string> {
  const { program, text } = idleProgram();
  await expect(runProgram(program, args)).rejects.toThrow(CommanderError);
  return text().split('\n')[0]!;
}

async function helpOf(...args: string[]): Promise<string> {
  const { program, text } = idleProgram();
  await runProgram(program, [...args, '--help']).catch((error: unknown) => {
    if (!(error instanceof CommanderError) || error.exitCode !== 0) throw error;
  });
  return text();
}

const NAMES = idleProgram().program.commands.map((command) => command.name());

test('--help lists every command with one sentence, and shows examples', async () => {
  const help = await helpOf();
  for (const name of NAMES) expect(help).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
  expect(help).toMatch(/\nExamples:\n {2}# .+\n {2}mtlora-train demo\n/);
  for (const command of idleProgram().program.commands) {
    expect(command.description()).toMatch(/^[A-Z](?!.*\. ).*[^.]$/);
  }
});

test('--help of every command has examples that its own flags can be', async () => {
  for (const name of NAMES) {
    const examples = examplesIn(await helpOf(name));
    expect(examples.length, name).toBeGreaterThan(0);
    for (const example of examples) {
      expect(example[0] === name || (name === 'train' && example[0]!.startsWith('--')), name).toBe(true);
      await runProgram(idleProgram().program, example);
    }
  }
});

/** The words behind `mtlora-train` in each command line of a help text. */
function examplesIn(help: string): string[][] {
  const lines = help.replaceAll(/ \\\n\s+/g, ' ').split('\n').map((line) => line.trim());
  return lines.flatMap((line) => /(?:^|\()mtlora-train (?<words>[^)>]+)/.exec(line)?.groups?.words ?? [])
    .map((words) => words.trim().split(/\s+/));
}

test('train --help groups its flags, and says the field and the default of each', async () => {
  const help = await helpOf('train');
  const headings = [...help.matchAll(/^(\S.*):$/gm)].map(([, heading]) => heading);
  expect(headings).toEqual(['Configuration', 'Data', 'Model', 'Training', 'Evaluation',
    'The run and its folder', 'Machine', 'Options', 'Examples']);
  expect(help).toMatch(/--batch-size <n> +images of a batch \[DATA\.BATCH_SIZE: 128\]\n/);
  expect(help).toMatch(/--optim <name> +optimizer \[TRAIN\.OPTIMIZER\.NAME: adamw\]/);
});

test('a mistyped command, flag or choice is told the nearest', async () => {
  expect(await refusal('devcies')).toBe('error: unknown command "devcies", did you mean "devices"?');
  expect(await refusal('help', 'devcies')).toBe('error: unknown command "devcies", did you mean "devices"?');
  expect(await refusal('-x')).toBe('error: unknown option "-x"');
  expect(await refusal('banana')).toBe('error: unknown command "banana"');
  expect(await refusal('--cfg', 'a.yaml', '--epohcs', '3'))
    .toBe('error: unknown option "--epohcs", did you mean "--epochs"?');
  expect(await refusal('--cgf', 'a.yaml')).toBe('error: unknown option "--cgf", did you mean "--cfg"?');
  expect(await refusal('devices', '--no-tset=1'))
    .toBe('error: unknown option "--no-tset", did you mean "--no-test"?');
  expect(await refusal('--cfg', 'a.yaml', '--optim', 'admw')).toContain('did you mean "adamw"?');
  expect(await refusal('--cfg', 'a.yaml', '--tasks', 'sal,nromals'))
    .toContain('"nromals" is none of "semseg", "normals"');
  expect(await refusal('completion', 'bsah')).toContain('did you mean "bash"?');
});

test('what is missing is named, with where the help is', async () => {
  expect(await refusal('train')).toBe('error: required option \'--cfg <file>\' not specified');
  expect(await refusal('synth')).toBe('error: required option \'--out <folder>\' not specified');
  const { program, text } = idleProgram();
  await expect(runProgram(program, ['report'])).rejects.toThrow(CommanderError);
  expect(text()).toBe('error: missing required argument \'run\'\n'
    + '"--help" behind the command says what it takes, with examples\n');
});

test('flags that scripts of the release give are taken, and values below 0', async () => {
  await runProgram(idleProgram().program, ['--cfg', 'a.yaml', '--opts', 'MODEL.MTLORA.SHARED_SCALE', '-1']);
  await runProgram(idleProgram().program, ['--cfg', 'a.yaml', '--local_rank', '0', '--epoch', '3', '--zip']);
});

test('nearest() takes swapped, missing and wrong letters, whatever the case, and nothing far', () => {
  const known = ['--cfg', '--epochs', 'EMBED_DIM'];
  expect(['--cgf', '--epoch', '--epocsh', 'embed_dims', '--banana'].map((word) => nearest(word, known)))
    .toEqual(['--cfg', '--epochs', '--epochs', 'EMBED_DIM', undefined]);
});

test('mtlora-train ends with 2 where its command line is wrong, 1 where it fails, 0 else', () => {
  expect(mtloraTrain(['devcies'])).toMatchObject({ code: 2, stdout: '' });
  expect(mtloraTrain(['params', '--cfg', 'gone.yaml'])).toMatchObject({ code: 1,
    stderr: expect.stringMatching(/^cannot read "gone\.yaml": ENOENT/) });
  expect(mtloraTrain(['--version'])).toMatchObject({ code: 0, stderr: '' });
});

test.skipIf(process.platform === 'win32')('mtlora-train ends quietly where nobody reads on', () => {
  const script = '"$0" bin/mtlora-train.mjs --help | true';
  const args = ['-o', 'pipefail', '-c', script, process.execPath];
  const { status, stderr } = spawnSync('bash', args, { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 141, stderr: '' });
});
