import { extname } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { writeBytes } from '../../data/file_bytes.ts';
import { writeSvgAsPng } from '../../data/svg.ts';
import { compareRun, comparisonTable, type Compared } from '../report/compare.ts';
import { parametersPlot } from '../report/plot.ts';
import { readRun } from '../report/run_record.ts';
import type { Register } from './command.ts';
import { addExamples } from './options.ts';

type Options = { last?: boolean; json?: boolean; plot?: string };

const EXAMPLES = [
  ['all runs of a model, the best evaluation of each', 'compare output/swin/*'],
  ['Δm against trainable parameters, as figure 1 of the paper', 'compare output/*/* --plot figure1.svg'],
] as const;

export const register: Register = (program, terminal) => {
  addExamples(program.command('compare'), EXAMPLES)
    .description('Set runs side by side: scores, Δm, trainable parameters; by each run\'s best evaluation')
    .argument('<runs...>', 'folders of runs, such as output/swin/*')
    .option('--last', 'by the last evaluation of each run')
    .option('--json', 'as JSON, for programs')
    .option('--plot <file>', 'draw Δm against trainable parameters (.svg, .png)', picture)
    .action(async (paths: string[], { last, json, plot }: Options) => {
      const runs = paths.map((path) => compareRun(readRun(path), last ? 'last' : 'best'));
      terminal.say(json ? JSON.stringify(runs, null, 2) : comparisonTable(runs));
      if (plot === undefined) return;
      await drawPlot(plot, runs);
      if (!json) terminal.say(`plot       ${plot}`);
    });
};

async function drawPlot(path: string, runs: readonly Compared[]): Promise<void> {
  const points = runs.map(({ run, name, tag, trainable, delta_m: deltaM }) => {
    if (deltaM === null) throw new Error(`--plot: "${run}" must have a Δm: its tasks have no baselines`);
    return { label: tag === 'default' ? name : `${name} ${tag}`, trainable, deltaM };
  });
  if (extname(path) === '.svg') writeBytes(path, [Buffer.from(parametersPlot(points, true))]);
  else await writeSvgAsPng(path, parametersPlot(points, false), 2);
}

function picture(path: string): string {
  if (!['.svg', '.png'].includes(extname(path))) {
    throw new InvalidArgumentError('It must end in .svg or .png.');
  }
  return path;
}
