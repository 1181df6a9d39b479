// All commands as one program, for the command line, its completion and the tests of what the pages say.
import { Command } from 'commander';
import { nearest } from '../nearest.ts';
import { PACKAGE_VERSION } from '../versions.ts';
import { register as checkData } from './check_data.ts';
import type { Register, Terminal } from './command.ts';
import { register as compare } from './compare.ts';
import { register as completion } from './completion.ts';
import { register as demo } from './demo.ts';
import { register as devices } from './devices.ts';
import { register as exportModel } from './export.ts';
import { register as merge } from './merge.ts';
import { addExamples } from './options.ts';
import { register as params } from './params.ts';
import { register as predict } from './predict.ts';
import { register as report } from './report.ts';
import { register as synth } from './synth.ts';
import { register as train } from './train.ts';
import { register as verify } from './verify.ts';

const COMMANDS: Readonly<Record<string, readonly Register[]>> = {
  'Train:': [train, demo, params],
  'Data:': [checkData, synth],
  'Look at results:': [predict, report, compare],
  'Model files:': [exportModel, merge],
  'This machine:': [devices, verify, completion],
};

const EXAMPLES = [
  ['four tasks on drawn pictures, in minutes, without any download', 'demo'],
  ['train a configuration: "train" may be left out', '--cfg model.yaml --pascal PASCAL_MT --epochs 300'],
  ['all that a command takes, with examples', 'train --help'],
  ['does this machine compute, how fast, and rightly', 'devices'],
] as const;

/** The program; errors of its command line are thrown as CommanderError once they are said. */
export function createProgram(terminal: Terminal): Command {
  const program = new Command('mtlora-train')
    .description('Multi-task low-rank adaptation of Swin transformers, on any GPU')
    .version(PACKAGE_VERSION, '-V, --version', 'say the version')
    .helpOption('-h, --help', 'say this')
    .helpCommand('help [command]', 'what a command takes, with examples')
    .showHelpAfterError('"--help" behind the command says what it takes, with examples')
    .exitOverride();
  for (const [heading, registers] of Object.entries(COMMANDS)) {
    program.commandsGroup(heading);
    for (const register of registers) register(program, terminal);
  }
  program.helpCommand(true);
  return addExamples(program, EXAMPLES);
}

/**
 * Runs the command that `args` name. Looks for a mistyped command and flag first: commander would take the
 * one for an argument of "train", and asks for what is missing before it tells what is unknown.
 */
export async function runProgram(program: Command, args: readonly string[]): Promise<void> {
  const [first] = args;
  if (first === undefined) program.help({ error: true });
  const names = [...program.commands.map((command) => command.name()), 'help'];
  const asked = first === 'help' ? args[1] ?? 'help' : first;
  if (!asked.startsWith('-') && !names.includes(asked)) {
    program.error(`error: unknown command "${asked}"${suggestion(asked, names)}`);
  }
  const command = program.commands.find((each) => each.name() === first)
    ?? program.commands.find((each) => each.name() === 'train')!;
  expectFlags(program, command, args);
  await program.parseAsync(args, { from: 'user' });
}

function expectFlags(program: Command, command: Command, args: readonly string[]): void {
  const options = [...program.options, ...command.options];
  const known = new Set(['--help', '-h', '--', ...options.flatMap(({ long, short }) => [long, short])]);
  const unknown = args.map((arg) => arg.split('=')[0]!)
    .find((flag) => /^-(-|[a-z]$)/i.test(flag) && !known.has(flag));        // not a number below 0
  if (unknown === undefined) return;
  const shown = options.filter(({ hidden }) => !hidden).flatMap(({ long }) => long ?? []);
  command.error(`error: unknown option "${unknown}"${suggestion(unknown, [...shown, '--help'])}`);
}

function suggestion(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near ? `, did you mean "${near}"?` : '';
}
