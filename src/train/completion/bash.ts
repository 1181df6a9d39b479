import { DEFAULT_COMMAND, type CompletedCommand, type Takes } from './words.ts';

const HELPERS = `_mtlora_train_files() {
  local IFS=$'\\n'
  COMPREPLY=($(compgen "$1" -- "$word"))
  compopt -o filenames 2>/dev/null
}

_mtlora_train_words() { COMPREPLY=($(compgen -W "$1" -- "$word")); }

# words separated by commas: the last one is completed, by those that do not stand there yet
_mtlora_train_list() {
  local before='' last=\${word##*,} item
  [[ $word == *,* ]] && before=\${word%,*},
  COMPREPLY=()
  for item in $1; do
    [[ ,$before == *,$item,* || $item != "$last"* ]] || COMPREPLY+=("$before$item")
  done
  compopt -o nospace 2>/dev/null
}`;

/** A script for bash, also the 3.2 of macOS. */
export function bashCompletion(commands: readonly CompletedCommand[]): string {
  const values = commands.flatMap(({ name, options }) => options.flatMap(({ flags, takes, words }) =>
    takes ? [`    ${flags.map((flag) => `'${name} ${flag}'`).join('|')}) ${answer(takes, words)} ;;`] : []));
  const others = commands.map(({ name, options, argument }) => {
    const flags = options.flatMap((option) => option.flags).join(' ');
    const rest = argument ? answer(argument.takes, argument.words) : ':';
    return `    ${name}) if [[ $word == -* ]]; then ${answer('word', [flags])}; else ${rest}; fi ;;`;
  });
  const names = commands.map(({ name }) => name);
  return `# completion of mtlora-train for bash

${HELPERS}

_mtlora_train() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=$((COMP_CWORD - 1)) command=${DEFAULT_COMMAND} i
  [[ $word == = ]] && word=
  [[ \${COMP_WORDS[before]} == = ]] && ((before--))                # --flag=value
  COMPREPLY=()
  if ((COMP_CWORD == 1)) && [[ $word != -* ]]; then
    _mtlora_train_words '${names.join(' ')}'
    return
  fi
  case \${COMP_WORDS[1]} in ${names.join('|')}) command=\${COMP_WORDS[1]} ;; esac
  # --opts takes all words up to the next flag
  for ((i = COMP_CWORD - 1; i > 0; i--)); do
    [[ \${COMP_WORDS[i]} == --opts ]] && before=$i
    [[ \${COMP_WORDS[i]} == -* ]] && break
  done
  [[ $word == -* ]] && before=0
  case "$command \${COMP_WORDS[before]}" in
${values.join('\n')}
    *) case $command in
${others.join('\n')}
    esac ;;
  esac
}

complete -F _mtlora_train mtlora-train
`;
}

function answer(takes: Takes, words: readonly string[]): string {
  switch (takes) {
    case 'file': return '_mtlora_train_files -f';
    case 'folder': return '_mtlora_train_files -d';
    case 'list': return `_mtlora_train_list '${words.join(' ')}'`;
    case 'word': case 'fields': return `_mtlora_train_words '${words.join(' ')}'`;
    case 'text': return ':';
  }
}
