// Options that several commands have, or that take one of a few words.
import { InvalidArgumentError, Option, type Command } from 'commander';
import { nearest } from '../nearest.ts';

export function addDevice(command: Command): Command {
  return command.option('--device <name>', 'adapter, by number or part of its name (see "devices")');
}

export function addPlainKernels(command: Command): Command {
  return command.option('--plain-kernels', 'only the kernels that all others are checked against: slow');
}

export function addOpts(command: Command): Command {
  return command.option('--opts <pairs...>', 'configuration fields and values: KEY VALUE KEY VALUE …');
}

/** Commands to learn from, below the help: what for, and how. */
export function addExamples(command: Command, examples: readonly (readonly [string, string])[]): Command {
  const lines = examples.map(([says, typed]) => `  # ${says}\n  mtlora-train ${typed}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

/** An option that takes one of `choices`; a mistyped one is told the nearest. */
export function choiceOption(flags: string, says: string, choices: readonly string[]): Option {
  return new Option(flags, says).choices(choices).argParser((word) => expectKnown(word, choices));
}

/** An option that takes some of `choices`, separated by commas. */
export function listOption(flags: string, says: string, choices: readonly string[]): Option {
  return new Option(flags, says).choices(choices).argParser((list) => {
    for (const word of list.split(',')) if (word.trim() !== '') expectKnown(word.trim(), choices);
    return list;
  });
}

/** @throws InvalidArgumentError where `word` is none of `choices`; names the nearest */
export function expectKnown(word: string, choices: readonly string[]): string {
  if (choices.includes(word)) return word;
  const near = nearest(word, choices);
  const list = choices.map((choice) => `"${choice}"`).join(', ');
  throw new InvalidArgumentError(`"${word}" is none of ${list}${near ? `; did you mean "${near}"?` : ''}`);
}
