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
To have it in every new shell:
  # bash
  echo 'source <(mtlora-train completion bash)' >> ~/.bashrc
  # zsh, behind "compinit"
  echo 'source <(mtlora-train completion zsh)' >> ~/.zshrc
  # fish
  mtlora-train completion fish > ~/.config/fish/completions/mtlora-train.fish

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
