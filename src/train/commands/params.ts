import { TASKS } from '../../mtlora/spec.ts';
import { loadConfig, modelSpec } from '../config.ts';
import { formatParams, paramsReport } from '../params_report.ts';
import type { Register } from './command.ts';
import { addExamples, addOpts, listOption } from './options.ts';

type Options = { cfg: string; tasks?: string; opts?: string[]; json?: boolean };

const CFG = '--cfg configs/mtlora/tiny_448/mtlora_tiny_448_r64_scale4_pertask.yaml';
const EXAMPLES = [
  ['the paper\'s r64', `params ${CFG}`],
  ['two tasks, the shared branch of rank 16',
    `params ${CFG} \\
    --tasks semseg,normals --opts MODEL.MTLORA.R_PER_TASK.shared 16`],
] as const;

export const register: Register = (program, terminal) => {
  const command = addExamples(program.command('params'), EXAMPLES)
    .description('Count what a configuration trains and what an image costs; needs no GPU')
    .requiredOption('--cfg <file>', 'configuration (YAML)')
    .addOption(listOption('--tasks <list>', 'the tasks; without it those of the data set', TASKS));
  addOpts(command)
    .option('--json', 'as JSON, for programs')
    .action(({ cfg, tasks, opts = [], json }: Options) => {
      const { config, warnings } = loadConfig(cfg, opts, tasks === undefined ? {} : { tasks });
      const report = paramsReport(modelSpec(config));
      if (json) return terminal.say(JSON.stringify(report, null, 2));
      for (const warning of warnings) terminal.say(`warning: ${warning}`);
      terminal.say(`${config.MODEL.NAME}, tasks ${config.TASKS.join(', ')}`);
      terminal.say(formatParams(report));
    });
};
