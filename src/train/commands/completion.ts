import { Argument } from 'commander';
import { bashCompletion } from '../completion/bash.ts';
import { fishCompletion } from '../completion/fish.ts';
import { completedCommands, type CompletedCommand } from '../completion/words.ts';
import { zshCompletion } from '../completion/zsh.ts';
import type { Register } from './command.ts';
import { expectKnown } from './options.ts';

const SCRIPTS: Readonly<Record<string, (commands: readonly CompletedCommand[]) => string>> = {
  bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion,
};

const INSTALL = `
Where each shell looks for it; the folders must be there:
  # bash, with its package bash-completion
  mtlora-train completion bash > ~/.local/share/bash-completion/completions/mtlora-train
  # zsh, with "fpath+=~/.zfunc" before "compinit" in ~/.zshrc
  mtlora-train completion zsh > ~/.zfunc/_mtlora-train
  # fish
  mtlora-train completion fish > ~/.config/fish/completions/mtlora-train.fish
In this shell alone, of bash or zsh:
  source <(mtlora-train completion bash)

"npm link", once in the folder of this project, puts mtlora-train on the PATH.`;

export const register: Register = (program, terminal) => {
  const shells = Object.keys(SCRIPTS);
  program.command('completion')
    .description('Write a script that completes commands, flags, their values and files in your shell')
    .addArgument(new Argument('<shell>', 'your shell').choices(shells)
      .argParser((shell) => expectKnown(shell, shells)))
    .addHelpText('after', INSTALL)
    .action((shell: string) => terminal.say(SCRIPTS[shell]!(completedCommands(program)).trimEnd()));
};
