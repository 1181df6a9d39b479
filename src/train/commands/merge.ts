import { extname } from 'node:path';
import type { HostTensor } from '../../data/host_tensor.ts';
import { writeBytes } from '../../data/file_bytes.ts';
import { writePth } from '../../data/pth_write.ts';
import { writeSafetensors } from '../../data/safetensors.ts';
import { openGpu, type Gpu } from '../../gpu/device.ts';
import { mergeWeights } from '../../mtlora/merge.ts';
import { TASKS, type ModelSpec, type Task } from '../../mtlora/spec.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { formatConfig, modelSpec } from '../config.ts';
import { expectWhole } from '../export.ts';
import { costOf, mergedConfig, outputDifference, type Cost } from '../merge.ts';
import { fitWeights, fullStateDict } from '../weights.ts';
import type { Register, Terminal } from './command.ts';
import { addDevice, addExamples, choiceOption } from './options.ts';
import { addModelOptions, readModel, readModelConfig, type ModelOptions } from './model_options.ts';

type Options = ModelOptions & { task?: Task; device?: string };

/** Largest relative difference of a task's output that counts as equal. */
const BOUND = 1e-5;

const EXAMPLES = [
  ['of the run in the folder "run", a smaller model with the same outputs, and its configuration merged.yaml',
    'merge --cfg run/config.yaml --from run/best.safetensors --to merged.safetensors'],
  ['for one task alone',
    'merge --cfg run/config.yaml --from run/best.safetensors --to semseg.safetensors --task semseg'],
] as const;

export const register: Register = (program, terminal) => {
  const command = addExamples(addModelOptions(program.command('merge')), EXAMPLES)
    .description('Fold low-rank branches into the weights, where that changes no output')
    .addOption(choiceOption('--task <name>', 'keep the stream and decoder of this task alone', TASKS));
  addDevice(command)
    .action(async (options: Options) => {
      const { config, warnings } = readModelConfig(options);
      const less = mergedConfig(config, options.task ?? null);
      const [spec, target] = [modelSpec(config), modelSpec(less)];
      const [full, small] = [costOf(spec), costOf(target)];
      if (full.parameters === small.parameters) {
        throw new Error('merge: the model has no branch that can be folded');
      }

      const gpu = await openGpu({ device: options.device });      // says nothing before: it may start over
      try {
        for (const warning of warnings) terminal.say(`warning: ${warning}`);
        const merged = await merge(gpu, spec, target, await readModel(options), terminal);
        const cfg = await writeModel(options.to, merged, formatConfig(less));
        for (const line of describeCosts(full, small)) terminal.say(line);
        terminal.say(`wrote "${options.to}" and its configuration "${cfg}"`);
      } finally {
        gpu.close();
      }
    });
};

function describeCosts(before: Cost, after: Cost): string[] {
  const whole = (count: number): string => count.toLocaleString('en-US');
  const giga = (macs: number): string => (macs / 1e9).toFixed(3);
  return [
    `parameters ${whole(before.parameters)} → ${whole(after.parameters)}`,
    `GMAC an image ${giga(before.macs)} → ${giga(after.macs)}`,
  ];
}

/** The state dict of `target`, once it is shown to compute what the model in `from` does. */
async function merge(
  gpu: Gpu, spec: ModelSpec, target: ModelSpec, { path: from, model }: Checkpoint, { say }: Terminal,
): Promise<Map<string, HostTensor>> {
  const weights = fitWeights(spec, model, from);
  say(`read "${from}": ${weights.lines.join('; ')}`);
  expectWhole(weights.missing, from);
  const values = mergeWeights(spec, target, weights.values);

  const apart = await outputDifference(gpu, { spec, values: weights.values }, { spec: target, values });
  const list = [...apart].map(([task, difference]) => `${task} ${difference.toExponential(1)}`).join(', ');
  say(`outputs on a random batch, relative difference: ${list}`);
  if (![...apart.values()].every((difference) => difference <= BOUND)) {
    throw new Error(`merge: the outputs must agree to ${BOUND}, got ${list}; nothing is written`);
  }
  return fullStateDict(target, values, weights.batchesTracked ?? 0);
}

/** @returns the path of the configuration that is written beside the model */
async function writeModel(to: string, state: Map<string, HostTensor>, yaml: string): Promise<string> {
  const ending = extname(to);
  if (ending === '.pth') await writePth(to, { model: state });
  else writeSafetensors(to, state, { config: yaml });
  const cfg = `${to.slice(0, -ending.length)}.yaml`;
  writeBytes(cfg, [Buffer.from(yaml)]);
  return cfg;
}
