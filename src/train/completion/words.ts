// What a shell can complete, read off the program.
import type { Argument, Command, Option } from 'commander';
import { listFields } from '../config_walk.ts';

/** What stands behind an option or as an argument; `words` are those of "word", "list" and "fields". */
export type Takes = 'file' | 'folder' | 'word' | 'list' | 'fields' | 'text';

export type CompletedOption = {
  readonly flags: readonly string[];
  readonly says: string;
  /** null: nothing. */
  readonly takes: Takes | null;
  readonly words: readonly string[];
};

export type CompletedCommand = {
  readonly name: string;
  readonly says: string;
  readonly options: readonly CompletedOption[];
  readonly argument: { readonly takes: Takes; readonly words: readonly string[] } | null;
};

/** The command whose name may be left out. */
export const DEFAULT_COMMAND = 'train';

const ARGUMENTS: Readonly<Record<string, Takes>> = {
  pictures: 'file', run: 'folder', runs: 'folder', folder: 'folder',
};

export function completedCommands(program: Command): CompletedCommand[] {
  return program.commands.map((command) => {
    const [argument] = command.registeredArguments;
    return {
      name: command.name(),
      says: command.description(),
      options: [...command.options.filter(({ hidden }) => !hidden).map(completedOption),
        { flags: ['--help'], says: 'say what the command takes', takes: null, words: [] }],
      argument: argument ? completedArgument(argument) : null,
    };
  });
}

function completedArgument(argument: Argument): NonNullable<CompletedCommand['argument']> {
  const { argChoices } = argument;
  return argChoices ? { takes: 'word', words: argChoices }
    : { takes: ARGUMENTS[argument.name()] ?? 'text', words: [] };
}

function completedOption(option: Option): CompletedOption {
  const { long, short, description, argChoices = [] } = option;
  const takes = takesOf(option);
  return {
    flags: [short, long].filter((flag) => flag !== undefined),
    says: description.replace(/ \[[A-Z][A-Z_.]+(: .*)?\]$/, ''),        // without the field that it sets
    takes,
    words: takes === 'fields' ? listFields().filter(({ unused }) => !unused).map(({ path }) => path)
      : argChoices,
  };
}

function takesOf({ flags, argChoices }: Option): Takes | null {
  const [, placeholder] = /<(\w+)/.exec(flags) ?? [];
  if (placeholder === undefined) return null;
  if (placeholder === 'list') return 'list';
  if (placeholder === 'pairs') return 'fields';
  if (argChoices) return 'word';
  return placeholder === 'file' || placeholder === 'folder' ? placeholder : 'text';
}
