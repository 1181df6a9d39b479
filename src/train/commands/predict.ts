import { runPrediction } from '../predict.ts';
import type { Register } from './command.ts';

type Options = {
  cfg: string; from: string; out: string; tasks?: string; opts?: string[]; device?: string;
};

export const register: Register = (program, terminal) => {
  program.command('predict')
    .description('Show what a model makes of pictures: coloured, over the picture, and the values themselves')
    .argument('<pictures...>', 'JPEG and PNG files of any size, or folders of such')
    .requiredOption('--cfg <file>', 'configuration (YAML) of the model, such as a run\'s config.yaml')
    .requiredOption('--from <file>', 'checkpoint to read (.safetensors, .pth)')
    .option('--out <folder>', 'where the results go', 'predictions')
    .option('--tasks <list>', 'only these of the model\'s tasks')
    .option('--opts <pairs...>', 'configuration fields and values: KEY VALUE KEY VALUE …')
    .option('--device <name>', 'adapter, by number or part of its name (see "devices")')
    .action(async (inputs: string[], { tasks, ...options }: Options) => {
      const chosen = tasks?.split(',').map((task) => task.trim());
      await runPrediction({ ...options, inputs, tasks: chosen }, terminal);
    });
};
