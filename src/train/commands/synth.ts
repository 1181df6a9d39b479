import { InvalidArgumentError, Option } from 'commander';
import { writeSyntheticPascal } from '../../data/synth/write.ts';
import type { Register } from './command.ts';
import { addExamples } from './options.ts';

type Options = { out: string; train: number; val: number; size: readonly [number, number]; seed: number };

const EXAMPLES = [
  ['80 small pictures to try things out', 'synth --out scenes'],
  ['a larger set, other scenes', 'synth --out scenes2 --train 256 --val 32 --size 240x320 --seed 1'],
] as const;

export const register: Register = (program, terminal) => {
  addExamples(program.command('synth'), EXAMPLES)
    .description('Write a synthetic data set in the layout and file formats of PASCAL-MT')
    .requiredOption('--out <folder>', 'folder to write; it must not hold a data set yet')
    .option('--train <n>', 'training pictures', whole, 64)
    .option('--val <n>', 'validation pictures', whole, 16)
    .addOption(new Option('--size <HxW>', 'height and width of every picture, in pixels')
      .argParser(readSize).default([128, 160], '128x160'))
    .option('--seed <n>', 'another seed, other scenes', whole, 0)
    .action(async ({ out, train, val, size, seed }: Options) => {
      await writeSyntheticPascal({ root: out, train, val, size, seed }, (written, total) => {
        terminal.status(`writing pictures ${written}/${total}`);
      });
      terminal.status(null);
      terminal.say(`${train} training and ${val} validation pictures of ${size.join('x')} in "${out}"`);
    });
};

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number(text);
}

function readSize(text: string): readonly [number, number] {
  const [, height, width] = /^(\d+)x(\d+)$/.exec(text) ?? [];
  if (height === undefined) throw new InvalidArgumentError('It must be height x width, such as 128x160.');
  return [Number(height), Number(width)];
}
