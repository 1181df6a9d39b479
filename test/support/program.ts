import type { Command } from 'commander';
import { createProgram } from '../../src/train/commands/program.ts';
import { listen } from './tiny_run.ts';

/** The program, with commands that do nothing, and what it writes. */
export function idleProgram(): { program: Command; text: () => string } {
  const program = createProgram(listen());
  let text = '';
  const write = (more: string): void => { text += more; };
  for (const command of [program, ...program.commands]) {
    command.configureOutput({ writeOut: write, writeErr: write });
    if (command !== program) command.action(() => undefined);
  }
  return { program, text: () => text };
}
