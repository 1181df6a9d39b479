// The flags of the release's training command and ours, by what they are about.
import { Option, type Command } from 'commander';
import { FLAG_FIELDS, type ConfigFlags } from '../config.ts';
import { listFields, type Field } from '../config_walk.ts';
import { choiceOption, listOption } from './options.ts';

/** How a flag is typed, the field of ConfigFlags that takes it, what it says. */
type Flag = readonly [string, keyof ConfigFlags, string];

const GROUPS: Readonly<Record<string, readonly Flag[]>> = {
  'Data:': [
    ['--pascal <folder>', 'pascal', 'PASCAL-Context for multi-task learning (PASCAL_MT)'],
    ['--nyud <folder>', 'nyud', 'NYUDv2 for multi-task learning (NYUD_MT)'],
    ['--data <file>', 'data', 'a data set of your own, described by this file (YAML)'],
    ['--data-path <folder>', 'dataPath', 'the data set, where none of the three above is given'],
    ['--tasks <list>', 'tasks', 'the tasks, in this order, such as semseg,normals'],
    ['--batch-size <n>', 'batchSize', 'images of a batch'],
    ['--on-bad-sample <what>', 'onBadSample', 'what a missing or damaged image or label leads to'],
  ],
  'Model:': [
    ['--resume-backbone <file>', 'resumeBackbone', 'a Swin checkpoint to start from (.pth, .safetensors)'],
    ['--resume <file>', 'resume', 'a checkpoint to continue, or a model of the PyTorch release'],
    ['--skip_decoder', 'skipDecoder', 'leave the decoders of --resume out'],
    ['--decoder_map <file>', 'decoderMap', 'JSON of task and head'],
    ['--freeze-backbone', 'freezeBackbone', 'train the decoders of a plain Swin alone'],
    ['--pretrained <file>', 'pretrained', 'not for multi-task models: use --resume-backbone'],
  ],
  'Training:': [
    ['--epochs <n>', 'epochs', 'epochs to train'],
    ['--accumulation-steps <n>', 'accumulationSteps', 'batches of an update'],
    ['--optim <name>', 'optim', 'optimizer'],
    ['--loss-weighting <how>', 'lossWeighting', 'the tasks\' weights: the paper\'s, or learned'],
    ['--ema <decay>', 'ema', 'evaluates moving averages of the weights, such as 0.999'],
    ['--use-checkpoint', 'useCheckpoint', 'compute activations twice to save memory'],
    ['--precision <type>', 'precision', 'f16 stores activations and frozen weights in half the memory'],
    ['--disable_amp', 'disableAmp', 'no mixed precision, as --precision f32'],
  ],
  'Evaluation:': [
    ['--eval', 'eval', 'evaluate the model of --resume, or the run\'s last one, and end'],
    ['--eval-freq <n>', 'evalFreq', 'epochs between two evaluations'],
    ['--eval-training-freq <n>', 'evalTrainingFreq', 'epochs between two evaluations of the training images'],
    ['--skip_initial_validation', 'skipInitialValidation', 'no evaluation when --resume is given'],
    ['--best <score>', 'best', 'keeps the best model by delta_m, loss or such as semseg.mIoU'],
  ],
  'The run and its folder:': [
    ['--output <folder>', 'output', 'where runs go: <output>/<name>/<tag>'],
    ['--name <text>', 'name', 'the model\'s name'],
    ['--tag <text>', 'tag', 'the run\'s name among those of its model'],
    ['--ckpt-freq <n>', 'ckptFreq', 'epochs between two checkpoints'],
    ['--keep <n>', 'keep', 'keeps the latest n checkpoints; without it all'],
    ['--tensorboard', 'tensorboard', 'writes event files for TensorBoard into the run\'s folder'],
    ['--seed <n>', 'seed', 'start values, order of images, augmentation and dropout follow from it'],
  ],
};

/** Flags of the release that mean nothing here: launchers and scripts give them. */
const LEFTOVERS = ['--local_rank <n>', '--local-rank <n>', '--disable_wandb', '--run_name <text>',
  '--no_eval_50', '--fused_window_process', '--fused_layernorm', '--zip', '--cache-mode <mode>'];

const FIELDS = new Map(listFields().map((field) => [field.path, field]));

/** @returns the name under which commander keeps each flag of the configuration */
export function addConfigFlags(command: Command): Map<string, keyof ConfigFlags> {
  const names = new Map<string, keyof ConfigFlags>();
  const add = (option: Option, field: keyof ConfigFlags): void => {
    command.addOption(option);
    names.set(option.attributeName(), field);
  };
  for (const [heading, flags] of Object.entries(GROUPS)) {
    for (const [typed, field, says] of flags) add(optionOf(typed, field, says).helpGroup(heading), field);
  }
  add(new Option('--epoch <n>').hideHelp(), 'epochs');      // the release's README writes it so
  add(new Option('--throughput').hideHelp(), 'throughput');  // of the release: is told about --profile
  for (const typed of LEFTOVERS) command.addOption(new Option(typed).hideHelp());
  return names;
}

/** Says which field a flag sets and what that is without it; takes the words that the field takes. */
function optionOf(typed: string, flag: keyof ConfigFlags, says: string): Option {
  const path = FLAG_FIELDS.find(([name]) => name === flag)?.[2];
  if (path === undefined) return new Option(typed, says);
  const { choices: words, fallback, path: field } = FIELDS.get(path)!;
  const choices = words.filter((word) => word !== '');
  const told = `${says} [${field}${describe(fallback)}]`;
  if (choices.length < 2) return new Option(typed, told);
  return Array.isArray(fallback) ? listOption(typed, told, choices) : choiceOption(typed, told, choices);
}

/** Nothing where a field is empty or off by itself. */
function describe(fallback: Field['fallback']): string {
  const off = fallback === undefined || fallback === null || fallback === '' || fallback === false;
  return off || Array.isArray(fallback) ? '' : `: ${String(fallback)}`;
}
