import { loadConfig, modelSpec } from '../config.ts';
import { formatParams, paramsReport } from '../params_report.ts';
import type { Register } from './command.ts';

type Options = { cfg: string; tasks?: string; opts?: string[]; json?: boolean };

export const register: Register = (program, terminal) => {
  program.command('params')
    .description('Count what a configuration trains and what an image costs; needs no GPU')
    .requiredOption('--cfg <file>', 'configuration (YAML)')
    .option('--tasks <list>', 'tasks, such as semseg,normals,sal,human_parts')
    .option('--opts <pairs...>', 'configuration fields and values: KEY VALUE KEY VALUE …')
    .option('--json', 'as JSON')
    .action(({ cfg, tasks, opts = [], json }: Options) => {
      const { config, warnings } = loadConfig(cfg, opts, tasks === undefined ? {} : { tasks });
      const report = paramsReport(modelSpec(config));
      if (json) return terminal.say(JSON.stringify(report, null, 2));
      for (const warning of warnings) terminal.say(`warning: ${warning}`);
      terminal.say(`${config.MODEL.NAME}, tasks ${config.TASKS.join(', ')}`);
      terminal.say(formatParams(report));
    });
};
