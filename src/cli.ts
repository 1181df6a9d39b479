// The command line: the one place that prints and sets exit codes.
import { Command, CommanderError } from 'commander';
import { createLogUpdate } from 'log-update';
import { Exit, type Register, type Terminal } from './train/commands/command.ts';
import { register as checkData } from './train/commands/check_data.ts';
import { register as compare } from './train/commands/compare.ts';
import { register as demo } from './train/commands/demo.ts';
import { register as devices } from './train/commands/devices.ts';
import { register as exportModel } from './train/commands/export.ts';
import { register as merge } from './train/commands/merge.ts';
import { register as params } from './train/commands/params.ts';
import { register as predict } from './train/commands/predict.ts';
import { register as report } from './train/commands/report.ts';
import { register as synth } from './train/commands/synth.ts';
import { register as train } from './train/commands/train.ts';
import { register as verify } from './train/commands/verify.ts';
import { nearest } from './train/config_issues.ts';
import { PACKAGE_VERSION } from './train/versions.ts';

const COMMANDS: readonly Register[] = [
  train, predict, checkData, demo, synth, params, report, compare, devices, exportModel, merge, verify,
];

const EXIT = { failed: 1, usage: 2, interrupted: 130 } as const;

function openTerminal(args: readonly string[]): Terminal {
  const interactive = process.stdout.isTTY === true;
  const bottom = interactive ? createLogUpdate(process.stdout, { showCursor: true }) : null;
  let shown: string | null = null;
  const status = (line: string | null): void => {
    shown = line;
    if (line === null) bottom?.clear();
    else bottom?.(line);
  };
  return {
    interactive, args, status,
    say(line) {
      const below = shown;
      status(null);
      process.stdout.write(`${line}\n`);
      if (below !== null) status(below);
    },
    interruption() {
      const controller = new AbortController();
      for (const name of ['SIGINT', 'SIGTERM'] as const) {
        process.on(name, () => {
          if (controller.signal.aborted) process.exit(EXIT.interrupted);
          controller.abort(name);
        });
      }
      return controller.signal;
    },
  };
}

/** The default command would take a mistyped one for an argument of its own. */
function expectCommand(program: Command, [first]: readonly string[]): void {
  if (first === undefined) program.help({ error: true });
  const names = [...program.commands.map((command) => command.name()), 'help'];
  if (first.startsWith('-') || names.includes(first)) return;
  const near = nearest(first, names);
  program.error(`error: unknown command "${first}"${near ? `, did you mean "${near}"?` : ''}`);
}

async function main(args: readonly string[]): Promise<number> {
  const terminal = openTerminal(args);
  const program = new Command('mtlora-train')
    .description('Multi-task low-rank adaptation of Swin transformers, on any GPU')
    .version(PACKAGE_VERSION)
    .exitOverride();
  for (const register of COMMANDS) register(program, terminal);
  for (const command of program.commands) command.exitOverride();
  try {
    expectCommand(program, args);
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    terminal.status(null);
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
    process.stderr.write(`${(error as Error).message}\n`);
    return error instanceof Exit ? error.exitCode : EXIT.failed;
  }
}

process.exitCode = await main(process.argv.slice(2));
