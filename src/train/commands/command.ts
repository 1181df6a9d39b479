// What a subcommand is: a file in this folder that exports `register`, and a line in src/cli.ts.
import type { Command } from 'commander';

/** Where a command's words go, and how it learns that it should end. src/cli.ts makes the one that prints. */
export type Terminal = {
  /** A line of output. */
  say(line: string): void;
  /** A line at the bottom, which the next one replaces; null takes it away. Nothing where nobody watches. */
  status(line: string | null): void;
  /** Whether somebody watches: a terminal, not a file or a pipe. */
  readonly interactive: boolean;
  /** Aborted by the first Ctrl-C or SIGTERM after the call; the second ends the process. */
  interruption(): AbortSignal;
  /** The words behind the program's name. */
  readonly args: readonly string[];
};

/**
 * Adds a command to the program. Its action throws what goes wrong, as an error of one sentence: exit code 1.
 *
 *     export const register: Register = (program, terminal) => {
 *       program.command('devices').description('…').action(async () => { terminal.say('…'); });
 *     };
 */
export type Register = (program: Command, terminal: Terminal) => void;

/** Ends the command with an exit code of its own; the message is said without "error". */
export class Exit extends Error {
  override readonly name = 'Exit';
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}
