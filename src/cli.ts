// The command line: the one place that prints and sets exit codes.
import { CommanderError } from 'commander';
import { createLogUpdate } from 'log-update';
import { Exit, type Terminal } from './train/commands/command.ts';
import { createProgram, runProgram } from './train/commands/program.ts';

const EXIT = { failed: 1, usage: 2, interrupted: 130, unheard: 141 } as const;

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

async function main(args: readonly string[]): Promise<number> {
  const terminal = openTerminal(args);
  try {
    await runProgram(createProgram(terminal), args);
    return 0;
  } catch (error) {
    terminal.status(null);
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
    process.stderr.write(`${(error as Error).message}\n`);
    return error instanceof Exit ? error.exitCode : EXIT.failed;
  }
}

// the reader of our output has gone, as `head` does: no error of ours
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(EXIT.unheard);
});

process.exitCode = await main(process.argv.slice(2));
