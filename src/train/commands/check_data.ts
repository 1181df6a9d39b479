import { runCheckData } from '../check_data.ts';
import type { Register } from './command.ts';

type Options = {
  pascal?: string; nyud?: string; data?: string;
  tasks?: string; split: string; json?: boolean; fixList?: string;
};

export const register: Register = (program, terminal) => {
  program.command('check-data')
    .description('Read all of a data set once: counts, sizes, classes, and each missing or damaged file')
    .option('--pascal <folder>', 'PASCAL-Context for multi-task learning (PASCAL_MT)')
    .option('--nyud <folder>', 'NYUDv2 for multi-task learning (NYUD_MT)')
    .option('--data <file>', 'a data set of your own, described by this file (YAML)')
    .option('--tasks <list>', 'the labels of these tasks alone')
    .option('--split <list>', 'lists to read', 'train,val')
    .option('--json', 'as JSON')
    .option('--fix-list <file>', 'write the list of one split without the images that have problems')
    .action(async ({ tasks, split, ...options }: Options) => {
      const asked = tasks === undefined ? undefined : listOf(tasks);
      await runCheckData({ ...options, tasks: asked, splits: listOf(split) }, terminal);
    });
};

function listOf(text: string): string[] {
  return text.split(',').map((item) => item.trim()).filter((item) => item !== '');
}
