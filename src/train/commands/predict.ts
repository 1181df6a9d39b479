import { TASKS } from '../../mtlora/spec.ts';
import { runPrediction } from '../predict.ts';
import type { Register } from './command.ts';
import { addDevice, addExamples, addOpts, addPlainKernels, listOption } from './options.ts';

type Options = {
  cfg: string; from: string; out: string; tasks?: string; opts?: string[]; device?: string;
  plainKernels?: boolean;
};

const EXAMPLES = [
  ['the best model of the run in the folder "run", on a folder of pictures',
    'predict photos --cfg run/config.yaml --from run/best.safetensors'],
  ['one task of it, on two pictures',
    'predict a.jpg b.png --cfg run/config.yaml --from run/best.safetensors --tasks normals --out shown'],
] as const;

export const register: Register = (program, terminal) => {
  const command = addExamples(program.command('predict'), EXAMPLES)
    .description('Show what a model makes of pictures: coloured, over the picture, and the values themselves')
    .argument('<pictures...>', 'JPEG and PNG files of any size, or folders of such')
    .requiredOption('--cfg <file>', 'configuration (YAML) of the model, such as a run\'s config.yaml')
    .requiredOption('--from <file>', 'checkpoint to read (.safetensors, .pth)')
    .option('--out <folder>', 'where the results go', 'predictions')
    .addOption(listOption('--tasks <list>', 'only these of the model\'s tasks', TASKS));
  addPlainKernels(addDevice(addOpts(command)))
    .action(async (inputs: string[], { tasks, ...options }: Options) => {
      const chosen = tasks?.split(',').map((task) => task.trim());
      await runPrediction({ ...options, inputs, tasks: chosen }, terminal);
    });
};
