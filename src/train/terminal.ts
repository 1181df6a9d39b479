// What training and the commands need of whoever runs them; src/cli.ts makes the one that prints.

/** Where a command's words go, and how it learns that it should end. */
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

/** Ends the command with an exit code of its own; the message is said without "error". */
export class Exit extends Error {
  override readonly name = 'Exit';
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.exitCode = exitCode;
  }
}
