// A model's tensors as other programs take them.
import type { HostTensor } from '../data/host_tensor.ts';
import type { PthValue } from '../data/pickle_write.ts';
import { countBatches } from '../data/order.ts';
import { additiveSite, mergeWeights } from '../mtlora/merge.ts';
import type { ModelSpec } from '../mtlora/spec.ts';
import type { Checkpoint } from './checkpoint.ts';
import { modelSpec, type Config } from './config.ts';
import { stepsPerEpoch } from './loop.ts';
import { optimizerDict, scalerDict, schedulerDict } from './release_state.ts';
import { buildSchedule } from './schedule.ts';
import { fullStateDict, type Weights } from './weights.ts';

export type ExportOptions = {
  /** Without decoders, under names without `backbone.`: what --resume-backbone takes. */
  readonly backboneOnly?: boolean;
  /** The shared stream as a plain Swin backbone: every shared branch folded, no task branch. */
  readonly stock?: boolean;
};

const BACKBONE = 'backbone.';

/**
 * The state dict to be written.
 *
 * @throws where `weights`, read from `file`, lack a tensor that belongs to it
 */
export function exportedState(
  spec: ModelSpec, weights: Weights, file: string,
  { backboneOnly = false, stock = false }: ExportOptions = {},
): Map<string, HostTensor> {
  const prefix = backboneOnly || stock ? BACKBONE : '';
  expectWhole(weights.missing.filter((name) => name.startsWith(prefix)), file);
  const target = stock ? plainBackbone(spec) : spec;
  const values = stock ? mergeWeights(spec, target, weights.values) : weights.values;
  const state = fullStateDict(target, values, weights.batchesTracked ?? 0, prefix);
  return new Map([...state].map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** Throws unless the file held everything. */
export function expectWhole(missing: readonly string[], file: string): void {
  if (missing.length === 0) return;
  throw new Error(`Cannot convert "${file}": it must hold every tensor of the model, ${missing.length} are `
    + `missing, such as "${missing[0]}" (does --cfg describe it?)`);
}

function plainBackbone(spec: ModelSpec): ModelSpec {
  const additive = additiveSite(spec);
  if (additive) {
    throw new Error('--stock: the shared stream must be a plain Swin, but in mode addition it adds a norm of '
      + `the tasks' outputs, as in "${additive}"`);
  }
  return { ...spec, lora: null, tasks: [], decoder: { ...spec.decoder, downsampler: 'none' } };
}

/** What the release saves after an epoch, so that its training goes on from there. */
export function releaseCheckpoint(
  config: Config, state: ReadonlyMap<string, HostTensor>, run: NonNullable<Checkpoint['run']>,
): { value: PthValue; epoch: number; wholeEpochs: boolean } {
  const { position: { step, samples }, moments, lossScale } = run;
  const batches = countBatches(samples, config.DATA.BATCH_SIZE, true);
  const perEpoch = stepsPerEpoch(config, batches);
  const schedule = buildSchedule(config, batches);
  const epoch = Math.floor(step / perEpoch) - 1;
  return {
    epoch,
    wholeEpochs: step % perEpoch === 0,
    value: {
      model: state,
      optimizer: optimizerDict(modelSpec(config), config.TRAIN, schedule, { step, moments }),
      lr_scheduler: schedulerDict(schedule),
      max_accuracy: 0,
      ...lossScale && { scaler: scalerDict(lossScale) },
      epoch,
    },
  };
}
