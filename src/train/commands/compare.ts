import { extname } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { writeBytes } from '../../data/file_bytes.ts';
import { writeSvgAsPng } from '../../data/svg.ts';
import { compareRun, comparisonTable, type Compared } from '../report/compare.ts';
import { parametersPlot } from '../report/plot.ts';
import { readRun } from '../report/run_record.ts';
import type { Register } from './command.ts';

type Options = { last?: boolean; json?: boolean; plot?: string };

export const register: Register = (program, terminal) => {
  program.command('compare')
    .description('Set runs side by side: scores, Δm, trainable parameters; by each run\'s best evaluation')
    .argument('<runs...>', 'folders of runs, such as output/swin/*')
    .option('--last', 'by the last evaluation of each run')
    .option('--json', 'as JSON')
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
