import { InvalidArgumentError } from 'commander';
import { loadConfig, type Config, type ConfigFlags } from '../config.ts';
import { runEvaluation, runPlan, runProfile } from '../one_off.ts';
import { runTraining } from '../run.ts';
import { runPath } from '../run_folder.ts';
import type { Register } from './command.ts';
import { addDevice, addExamples, addOpts, addPlainKernels } from './options.ts';
import { addConfigFlags } from './train_flags.ts';

const R64 = 'configs/mtlora/tiny_448/mtlora_tiny_448_r64_scale4_pertask.yaml';

const ABOUT = `
In brackets: the field of the configuration that a flag sets, and its value where neither says it. Flags win
over --opts, --opts over the file. All fields: docs/configuration.md`;

const EXAMPLES = [
  ['what the model is and what a step takes, without data', `--cfg ${R64} --plan`],
  ['the paper\'s run; the same words once more, and it goes on where it was', `--cfg ${R64} \\
    --pascal PASCAL_MT --tasks semseg,normals,sal,human_parts --batch-size 32 --epochs 300 \\
    --ckpt-freq 20 --resume-backbone swin_tiny_patch4_window7_224.pth --auto-resume`],
  ['your own pictures and labels', `--cfg ${R64} \\
    --data street.yaml --tasks semseg,depth --batch-size 8 --resume-backbone swin_tiny.pth --tag street`],
  ['scores of a model of the PyTorch release', `--cfg ${R64} \\
    --pascal PASCAL_MT --eval --resume mtlora.pth`],
] as const;

type Options = {
  readonly cfg: string;
  readonly opts?: string[];
  readonly device?: string;
  readonly plainKernels?: boolean;
  readonly autoResume?: boolean;
  readonly weightsOnly?: boolean;
  readonly plan?: boolean;
  readonly memoryLimit?: number;
  readonly profile?: boolean;
  readonly anomaly?: boolean;
} & Readonly<Record<string, unknown>>;

export const register: Register = (program, terminal) => {
  const command = addOpts(program.command('train', { isDefault: true })
    .description('Train a configuration, or evaluate it with --eval')
    .optionsGroup('Configuration:')
    .requiredOption('--cfg <file>', 'configuration (YAML)'));
  const names = addConfigFlags(command);
  command
    .optionsGroup('The run and its folder:')
    .option('--auto-resume', 'continue the run of the output folder, if there is one')
    .option('--weights-only', 'take the model of --resume, but start a new run');
  addPlainKernels(addDevice(command.optionsGroup('Machine:')))
    .option('--plan', 'say what a run takes of the device, and what would fit if it does not, and end')
    .option('--memory-limit <GiB>', 'with --plan: what the device has, as WebGPU does not tell', gibibytes)
    .option('--profile', 'time every kernel of a step, write a trace, and end')
    .option('--anomaly', 'wait for every step, and name the kernel that makes the first NaN')
    .addHelpText('after', ABOUT)
    .action(async (options: Options) => {
      const { config, warnings } = readConfig(options, names);
      for (const warning of warnings) terminal.say(`warning: ${warning}`);
      const { device, plainKernels, memoryLimit } = options;
      const where = { folder: runPath(config), device, plainKernels };
      if (options.plan) return runPlan(config, { ...where, memoryLimit }, terminal);
      if (memoryLimit !== undefined) throw new Error('--memory-limit: must go with --plan');
      if (options.profile) return runProfile(config, where, terminal);
      if (config.EVAL_MODE) return runEvaluation(config, where, terminal);
      await runTraining(config, {
        ...where,
        autoResume: options.autoResume ?? config.TRAIN.AUTO_RESUME,
        anomaly: options.anomaly ?? false,
        weightsOnly: options.weightsOnly ?? config.TRAIN.SKIP_DECODER_CKPT,
        evaluateFirst: config.MODEL.RESUME !== '' && !config.SKIP_INITIAL_EVAL,
        resumeCommand: (checkpoint) => resumeCommand(terminal.args, checkpoint),
      }, terminal);
    });
  addExamples(command, EXAMPLES);
};

function gibibytes(text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('It must be a number above 0.');
}

function readConfig(options: Options, names: ReadonlyMap<string, keyof ConfigFlags>):
  { config: Config; warnings: string[] } {
  const flags = Object.fromEntries([...names]
    .filter(([name]) => options[name] !== undefined).map(([name, field]) => [field, options[name]]));
  return loadConfig(options.cfg, options.opts, flags as ConfigFlags);
}

/** The same command with another checkpoint to resume. */
function resumeCommand(args: readonly string[], checkpoint: string): string {
  const kept = args.filter((arg, i) => !/^--resume(=|$)/.test(arg) && args[i - 1] !== '--resume'
    && arg !== '--weights-only' && arg !== '--auto-resume');
  return ['mtlora-train', ...kept, '--resume', checkpoint].map(quoted).join(' ');
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll('\'', '\'\\\'\'')}'`;
}
