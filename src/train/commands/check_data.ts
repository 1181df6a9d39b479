import { TASKS } from '../../mtlora/spec.ts';
import { runCheckData } from '../check_data.ts';
import type { Register } from './command.ts';
import { addExamples, listOption } from './options.ts';

type Options = {
  pascal?: string; nyud?: string; data?: string;
  tasks?: string; split: string; json?: boolean; fixList?: string;
};

const EXAMPLES = [
  ['all of PASCAL-MT: what there is, and every bad file', 'check-data --pascal PASCAL_MT'],
  ['your own data, the labels of two tasks', 'check-data --data street.yaml --tasks semseg,depth'],
  ['a training list without the bad images',
    'check-data --data street.yaml --split train --fix-list good.txt'],
] as const;

export const register: Register = (program, terminal) => {
  addExamples(program.command('check-data'), EXAMPLES)
    .description('Read all of a data set once: counts, sizes, classes, and each missing or damaged file')
    .option('--pascal <folder>', 'PASCAL-Context for multi-task learning (PASCAL_MT)')
    .option('--nyud <folder>', 'NYUDv2 for multi-task learning (NYUD_MT)')
    .option('--data <file>', 'a data set of your own, described by this file (YAML)')
    .addOption(listOption('--tasks <list>', 'the labels of these tasks alone; without it all', TASKS))
    .option('--split <list>', 'lists to read, separated by commas', 'train,val')
    .option('--json', 'as JSON, for programs')
    .option('--fix-list <file>', 'write the list of one split without the images that have problems')
    .action(async ({ tasks, split, ...options }: Options) => {
      const asked = tasks === undefined ? undefined : listOf(tasks);
      await runCheckData({ ...options, tasks: asked, splits: listOf(split) }, terminal);
    });
};

function listOf(text: string): string[] {
  return text.split(',').map((item) => item.trim()).filter((item) => item !== '');
}
