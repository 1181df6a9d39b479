import { extname } from 'node:path';
import { writePth } from '../../data/pth_write.ts';
import { writeSafetensors } from '../../data/safetensors.ts';
import { formatConfig, modelSpec } from '../config.ts';
import { exportedState, releaseCheckpoint } from '../export.ts';
import { fitWeights } from '../weights.ts';
import type { Register, Terminal } from './command.ts';
import { addExamples } from './options.ts';
import { addModelOptions, readModel, readModelConfig, type ModelOptions } from './model_options.ts';

type Options = ModelOptions & { backboneOnly?: boolean; stock?: boolean; optimizer?: boolean };

const EXAMPLES = [
  ['of the run in the folder "run", for the PyTorch release: its --resume takes it',
    'export --cfg run/config.yaml --from run/best.safetensors --to mtlora.pth'],
  ['to train on there, from a checkpoint of the run',
    'export --cfg run/config.yaml --from run/ckpt_epoch_299.safetensors --to mtlora.pth --optimizer'],
  ['a plain Swin backbone for other programs',
    'export --cfg run/config.yaml --from run/best.safetensors --to swin.safetensors --stock'],
] as const;

export const register: Register = (program, terminal) => {
  addExamples(addModelOptions(program.command('export')), EXAMPLES)
    .description('Write a model for other programs: a .pth that the PyTorch release loads, or .safetensors')
    .option('--backbone-only', 'without decoders, for --resume-backbone')
    .option('--stock', 'the shared stream as a plain Swin backbone, its branches folded')
    .option('--optimizer', 'with the optimizer\'s state, so that the release can train on (.pth)')
    .action((options: Options) => writeExport(options, terminal));
};

async function writeExport(options: Options, terminal: Terminal): Promise<void> {
  const { from, to, ema = false, backboneOnly = false, stock = false, optimizer = false } = options;
  const whole = !backboneOnly && !stock;
  const pth = extname(to) === '.pth';
  if (optimizer && !(pth && whole)) throw new Error('--optimizer must go with a whole model in a .pth file');
  if (optimizer && ema) throw new Error('--optimizer: must go without --ema, as it goes on from the weights');
  const { config, warnings } = readModelConfig(options);
  for (const warning of warnings) terminal.say(`warning: ${warning}`);
  const spec = modelSpec(config);
  const checkpoint = await readModel(options);
  const weights = fitWeights(spec, checkpoint.model, from);
  terminal.say(`read "${from}": ${weights.lines.join('; ')}`);
  const state = exportedState(spec, weights, from, { backboneOnly, stock });

  if (!pth) {
    writeSafetensors(to, state, { config: formatConfig(config) });
  } else if (optimizer) {
    if (!checkpoint.run) {
      throw new Error(`--optimizer: "${from}" must hold a training run, and holds a model alone`);
    }
    const { value, epoch, wholeEpochs } = releaseCheckpoint(config, state, checkpoint.run);
    if (checkpoint.run.beside.size > 0) {
      terminal.say('the losses\' learned weights stay behind: the release trains on with fixed ones');
    }
    if (!wholeEpochs) {
      terminal.say(`the run stands inside an epoch: the release will repeat it from epoch ${epoch + 1}`);
    }
    await writePth(to, value);
  } else {
    await writePth(to, { model: state });
  }
  if (pth && whole && spec.lora?.merged) {
    terminal.say('the release cannot load this model: it has no merged configurations');
  }
  terminal.say(`wrote "${to}": ${state.size} tensors${optimizer ? ' and the optimizer\'s state' : ''}`);
}
