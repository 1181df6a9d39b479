import { Option, type Command } from 'commander';
import { loadConfig, type Config, type ConfigFlags } from '../config.ts';
import { runEvaluation, runPlan, runProfile } from '../one_off.ts';
import { runTraining } from '../run.ts';
import { runPath } from '../run_folder.ts';
import type { Register } from './command.ts';

/** How a flag is typed, the field of ConfigFlags that takes it, what it says. */
const FLAGS: readonly (readonly [string, keyof ConfigFlags, string])[] = [
  ['--pascal <folder>', 'pascal', 'PASCAL-Context for multi-task learning (PASCAL_MT)'],
  ['--nyud <folder>', 'nyud', 'NYUDv2 for multi-task learning (NYUD_MT)'],
  ['--data <file>', 'data', 'a data set of your own, described by this file (YAML)'],
  ['--data-path <folder>', 'dataPath', 'the data set, where neither of the two above is given'],
  ['--tasks <list>', 'tasks', 'such as semseg,normals,sal,human_parts; in this order'],
  ['--batch-size <n>', 'batchSize', 'images of a batch'],
  ['--accumulation-steps <n>', 'accumulationSteps', 'batches of an update'],
  ['--epochs <n>', 'epochs', 'epochs to train'],
  ['--ckpt-freq <n>', 'ckptFreq', 'a checkpoint every n epochs'],
  ['--eval-freq <n>', 'evalFreq', 'an evaluation every n epochs'],
  ['--eval-training-freq <n>', 'evalTrainingFreq', 'an evaluation of the training images every n epochs'],
  ['--resume-backbone <file>', 'resumeBackbone', 'a Swin checkpoint to start from (.pth, .safetensors)'],
  ['--resume <file>', 'resume', 'a checkpoint to continue, or a model of the PyTorch release'],
  ['--pretrained <file>', 'pretrained', 'not for multi-task models: use --resume-backbone'],
  ['--skip_decoder', 'skipDecoder', 'leave the decoders of --resume out'],
  ['--decoder_map <file>', 'decoderMap', 'JSON of task and head'],
  ['--freeze-backbone', 'freezeBackbone', 'train the decoders of a plain Swin alone'],
  ['--optim <name>', 'optim', 'adamw or sgd'],
  ['--best <score>', 'best', 'keeps the best model by delta_m, loss or such as semseg.mIoU'],
  ['--keep <n>', 'keep', 'keeps the latest n checkpoints; without it all'],
  ['--ema <decay>', 'ema', 'evaluates moving averages of the weights, such as 0.999'],
  ['--tensorboard', 'tensorboard', 'writes event files for TensorBoard into the run\'s folder'],
  ['--skip_initial_validation', 'skipInitialValidation', 'no evaluation when --resume is given'],
  ['--eval', 'eval', 'evaluate the model of --resume, or the run\'s last one, and end'],
  ['--use-checkpoint', 'useCheckpoint', 'compute activations twice to save memory'],
  ['--disable_amp', 'disableAmp', 'no mixed precision'],
  ['--output <folder>', 'output', 'where runs go: <output>/<name>/<tag>'],
  ['--tag <text>', 'tag', 'the run\'s name among those of its model'],
  ['--name <text>', 'name', 'the model\'s name'],
];

/** Flags of the release that mean nothing here: launchers and scripts give them. */
const LEFTOVERS = ['--local_rank <n>', '--local-rank <n>', '--disable_wandb', '--run_name <text>',
  '--no_eval_50', '--fused_window_process', '--fused_layernorm', '--zip', '--cache-mode <mode>'];

const EXAMPLES = `
Examples:
  what the model is and what a step takes, without data
    $ mtlora-train --cfg configs/mtlora/tiny_448/mtlora_tiny_448_r64_scale4_pertask.yaml --plan
  the paper's run
    $ mtlora-train --cfg configs/mtlora/tiny_448/mtlora_tiny_448_r64_scale4_pertask.yaml \\
        --pascal PASCAL_MT --tasks semseg,normals,sal,human_parts --batch-size 32 --epochs 300 \\
        --ckpt-freq 20 --resume-backbone swin_tiny_patch4_window7_224.pth
  the same command goes on where it was, or starts
    $ mtlora-train … --auto-resume
  scores of a model of the PyTorch release
    $ mtlora-train … --eval --resume mtlora.pth`;

type Options = {
  readonly cfg: string;
  readonly opts?: string[];
  readonly device?: string;
  readonly seed?: string;
  readonly autoResume?: boolean;
  readonly weightsOnly?: boolean;
  readonly plan?: boolean;
  readonly profile?: boolean;
  readonly anomaly?: boolean;
} & Readonly<Record<string, unknown>>;

export const register: Register = (program, terminal) => {
  const command = program.command('train', { isDefault: true })
    .description('Train a configuration, or evaluate it with --eval')
    .requiredOption('--cfg <file>', 'configuration (YAML)')
    .option('--opts <pairs...>', 'configuration fields and values: KEY VALUE KEY VALUE …');
  const names = addConfigFlags(command);
  command
    .option('--auto-resume', 'continue the run of the output folder, if there is one')
    .option('--weights-only', 'take the model of --resume, but start a new run')
    .option('--seed <n>', 'start values, order of images, augmentation and dropout all follow from it')
    .option('--device <name>', 'adapter, by number or part of its name (see "devices")')
    .option('--plan', 'say what a step costs in memory and work, and end')
    .option('--profile', 'time every kernel of a step, write a trace, and end')
    .option('--anomaly', 'wait for every step, and name the kernel that makes the first NaN')
    .addHelpText('after', EXAMPLES)
    .action(async (options: Options) => {
      const { config, warnings } = readConfig(options, names);
      for (const warning of warnings) terminal.say(`warning: ${warning}`);
      const where = { folder: runPath(config), device: options.device };
      if (options.plan) return runPlan(config, where, terminal);
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
};

/** @returns the name under which commander keeps each flag of the configuration */
function addConfigFlags(command: Command): Map<string, keyof ConfigFlags> {
  const names = new Map<string, keyof ConfigFlags>();
  for (const [typed, field, says] of FLAGS) {
    const option = new Option(typed, says);
    command.addOption(option);
    names.set(option.attributeName(), field);
  }
  const epoch = new Option('--epoch <n>').hideHelp();      // the release's README writes it so
  command.addOption(epoch);
  names.set(epoch.attributeName(), 'epochs');
  for (const typed of LEFTOVERS) command.addOption(new Option(typed).hideHelp());
  return names;
}

function readConfig(options: Options, names: ReadonlyMap<string, keyof ConfigFlags>):
  { config: Config; warnings: string[] } {
  const flags = Object.fromEntries([...names]
    .filter(([name]) => options[name] !== undefined).map(([name, field]) => [field, options[name]]));
  const seed = options.seed === undefined ? [] : ['SEED', options.seed];
  return loadConfig(options.cfg, [...options.opts ?? [], ...seed], flags as ConfigFlags);
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
