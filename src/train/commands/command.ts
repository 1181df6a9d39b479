// What a subcommand is: a file in this folder that exports `register`, and a line in src/cli.ts.
import type { Command } from 'commander';
import type { Terminal } from '../terminal.ts';

export { Exit, type Terminal } from '../terminal.ts';

/**
 * Adds a command to the program. Its action throws what goes wrong, as an error of one sentence: exit code 1.
 *
 *     export const register: Register = (program, terminal) => {
 *       program.command('devices').description('…').action(async () => { terminal.say('…'); });
 *     };
 */
export type Register = (program: Command, terminal: Terminal) => void;
