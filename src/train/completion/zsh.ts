import { DEFAULT_COMMAND, type CompletedCommand, type CompletedOption, type Takes } from './words.ts';

/** A script for zsh, to be sourced or put into a folder of `fpath` as "_mtlora-train". */
export function zshCompletion(commands: readonly CompletedCommand[]): string {
  const described = commands.map(({ name, says }) => quoted(`${name}:${says.replaceAll(':', '\\:')}`));
  const cases = commands.map(({ name, options, argument }) => {
    const specs = options.flatMap(optionSpecs);
    if (argument) specs.push(quoted(`*:${argument.takes}:${action(argument.takes, argument.words)}`));
    return `    ${name}) _arguments \\\n      ${specs.join(' \\\n      ')} ;;`;
  });
  return `#compdef mtlora-train
# completion of mtlora-train for zsh

_mtlora_train() {
  local command=${DEFAULT_COMMAND}
  local -a commands
  commands=(
    ${described.join('\n    ')}
  )
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    _describe command commands
    return
  fi
  if [[ -n \${(M)commands:#$words[2]:*} ]]; then
    command=$words[2]
    shift words
    (( CURRENT-- ))
  fi
  case $command in
${cases.join('\n')}
  esac
}

if [[ $funcstack[1] == _mtlora-train ]]; then _mtlora_train "$@"; else compdef _mtlora_train mtlora-train; fi
`;
}

function optionSpecs({ flags, says, takes, words }: CompletedOption): string[] {
  const told = `[${says.replaceAll(/[[\]:]/g, '\\$&')}]`;
  // behind --opts, all words up to the next flag
  const value = takes === null ? '' : `:${takes === 'fields' ? '*-*:' : ''}${takes}:${action(takes, words)}`;
  return flags.map((flag) => quoted(`${flag}${told}${value}`));
}

function action(takes: Takes, words: readonly string[]): string {
  switch (takes) {
    case 'file': return '_files';
    case 'folder': return '_files -/';
    case 'list': return words.length > 0 ? `_values -s , ${takes} ${words.join(' ')}` : ' ';
    case 'word': case 'fields': return `(${words.join(' ')})`;
    case 'text': return ' ';
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll('\'', '\'\\\'\'')}'`;
}
