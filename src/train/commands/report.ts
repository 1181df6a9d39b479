import { writeReport } from '../report/report.ts';
import type { Register } from './command.ts';
import { addExamples } from './options.ts';

export const register: Register = (program, terminal) => {
  addExamples(program.command('report'), [
    ['a run that is under way, or done', 'report output/swin/default'],
    ['the demo', 'report runs/demo'],
  ])
    .description('Write report.html into the folder of a run: curves, results, predictions, configuration')
    .argument('<run>', 'folder of a run, such as output/swin/default; it may be under way')
    .action((run: string) => terminal.say(`report     ${writeReport(run)}`));
};
