import { DEFAULT_COMMAND, type CompletedCommand, type CompletedOption, type Takes } from './words.ts';

/** A script for fish. */
export function fishCompletion(commands: readonly CompletedCommand[]): string {
  const names = commands.map(({ name }) => name);
  const others = names.filter((name) => name !== DEFAULT_COMMAND);
  const lines = commands.flatMap(({ name, says, options, argument }) => {
    const here = name === DEFAULT_COMMAND ? `not __fish_seen_subcommand_from ${others.join(' ')}`
      : `__fish_seen_subcommand_from ${name}`;
    const none = `not __fish_seen_subcommand_from ${names.join(' ')}`;
    return [
      `complete -c mtlora-train -n ${quoted(none)} -a ${name} -d ${quoted(says)}`,
      ...options.map((option) => `complete -c mtlora-train -n ${quoted(here)} ${describe(option)}`),
      ...argument
        ? [`complete -c mtlora-train -n ${quoted(here)}${value(argument.takes, argument.words)}`] : [],
    ];
  });
  return `# completion of mtlora-train for fish
complete -c mtlora-train -f
${lines.join('\n')}
`;
}

function describe({ flags, says, takes, words }: CompletedOption): string {
  const names = flags.map((flag) => flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`);
  const taken = takes === null ? '' : ` -r${value(takes, words)}`;
  return `${names.join(' ')}${taken} -d ${quoted(says)}`;
}

function value(takes: Takes, words: readonly string[]): string {
  switch (takes) {
    case 'file': return ' -F';
    case 'folder': return ` -f -a ${quoted('(__fish_complete_directories (commandline -ct))')}`;
    case 'list': return ` -f -a ${quoted(`(__fish_complete_list , 'printf %s\\\\n ${words.join(' ')}')`)}`;
    case 'word': case 'fields': return ` -f -a ${quoted(words.join(' '))}`;
    case 'text': return ' -f';
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
}
