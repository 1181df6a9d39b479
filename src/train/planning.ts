// What a run takes of a device's memory, before anything is allocated, and what to change where it does not
// fit.
import type { Gpu } from '../gpu/device.ts';
import { dryRun } from '../gpu/dry.ts';
import { GpuError } from '../gpu/errors.ts';
import { borrow } from '../gpu/placement.ts';
import { describePlan, type Plan } from '../gpu/plan.ts';
import type { Config } from './config_schema.ts';
import { planEvaluation } from './evaluate.ts';
import { table } from './params_report.ts';
import { frozenOf, openStore } from './prepare.ts';
import { planTrainStep } from './step.ts';

/** `bytes`: what it allocates beside what it borrows. */
type Planned = { readonly label: string; readonly plan: Plan; readonly bytes: number };

/** What a run takes, or why the device refuses a tensor of it. */
export type Footprint = {
  /** Parameters, gradients, moments, batches. */
  readonly lasting: number;
  readonly programs: readonly Planned[];
  readonly bytes: number;
  /** Floating-point operations of an update. */
  readonly flops: number;
} | { readonly refused: string };

/** Plans training, and evaluation, which takes its buffers and more where those do not do. */
export async function planRun(gpu: Gpu, config: Config): Promise<Footprint> {
  const dry = dryRun(gpu);
  const { BATCH_SIZE } = config.DATA;
  try {
    const store = openStore(dry, config, frozenOf(config));
    const [pass, ...update] = await planTrainStep(dry, store, config, BATCH_SIZE);
    const training = [pass!, ...update].map((each) => ({ ...each, bytes: each.plan.peakBytes }));
    const evaluation = planEvaluation(dry, store, BATCH_SIZE);
    const lent = training.flatMap(({ plan }) => plan.slots.map(({ bytes }) => ({ size: bytes })));
    const borrowed = [...borrow(evaluation.plan.slots, lent).keys()]
      .reduce((sum, { bytes }) => sum + bytes, 0);
    const programs = [...training, { ...evaluation, bytes: evaluation.plan.peakBytes - borrowed }];
    const lasting = dry.memory.bytes;
    return {
      lasting, programs,
      bytes: programs.reduce((sum, { bytes }) => sum + bytes, lasting),
      flops: update.reduce((sum, { plan }) => sum + plan.flops,
        config.TRAIN.ACCUMULATION_STEPS * pass!.plan.flops),
    };
  } catch (error) {
    if (!(error instanceof GpuError)) throw error;
    return { refused: error.message };
  }
}

/** Whether a run fits into `limit` bytes; null where it is not known what the device has. */
export function fits(footprint: Footprint, limit: number | null): boolean {
  return !('refused' in footprint) && (limit === null || footprint.bytes <= limit);
}

export function describeFootprint(footprint: Footprint): string[] {
  if ('refused' in footprint) return [`refused    ${footprint.refused}`];
  const { lasting, programs, bytes } = footprint;
  return [
    ...programs.flatMap(({ label, plan }) =>
      describePlan(label, plan, { largest: 5 }).map((line) => `plan       ${line}`)),
    [`memory     ${memory(bytes)} on the device in all: ${memory(lasting)} parameters and batches`,
      ...programs.map(({ label, bytes: own }) => `${memory(own)} ${label}`)].join(', '),
  ];
}

/** A change of how a run is computed, and what it takes then. */
export type Alternative = {
  readonly flags: string;
  readonly footprint: Footprint;
  readonly fits: boolean;
};

/**
 * Plans the run with activations in half precision, where the device has that, computed again, and both; each
 * with batches halved, as many more of them an update, until it fits.
 */
export async function planAlternatives(
  gpu: Gpu, config: Config, limit: number | null,
): Promise<Alternative[]> {
  const { PRECISION, TRAIN: { USE_CHECKPOINT } } = config;
  const precisions = gpu.features.has('shader-f16') ? [...new Set([PRECISION, 'f16'] as const)] : [PRECISION];
  const ways = [...new Set([USE_CHECKPOINT, true])].flatMap((again) =>
    precisions.map((precision) => ({ again, precision })));
  const found: Alternative[] = [];
  for (const way of ways) {
    for (let batch = config.DATA.BATCH_SIZE; ; batch = batch / 2) {
      const changed = alternative(config, batch, way);
      const footprint = await planRun(gpu, changed);
      const flags = flagsOf(config, changed);
      found.push({ flags, footprint, fits: fits(footprint, limit) });
      if (fits(footprint, limit) || batch % 2 !== 0) break;
    }
  }
  return found;
}

type Way = { readonly again: boolean; readonly precision: Config['PRECISION'] };

function alternative({ DATA, TRAIN, ...config }: Config, batch: number, { again, precision }: Way): Config {
  const micro = TRAIN.ACCUMULATION_STEPS * DATA.BATCH_SIZE / batch;
  return {
    ...config,
    PRECISION: precision,
    DATA: { ...DATA, BATCH_SIZE: batch },
    TRAIN: { ...TRAIN, ACCUMULATION_STEPS: micro, USE_CHECKPOINT: again },
  };
}

/** What to type for `changed`, where `config` is what was typed. */
function flagsOf({ DATA, TRAIN, PRECISION }: Config, changed: Config): string {
  const flags = [
    PRECISION === changed.PRECISION ? [] : ['--precision', changed.PRECISION],
    DATA.BATCH_SIZE === changed.DATA.BATCH_SIZE ? []
      : ['--batch-size', changed.DATA.BATCH_SIZE, '--accumulation-steps', changed.TRAIN.ACCUMULATION_STEPS],
    TRAIN.USE_CHECKPOINT === changed.TRAIN.USE_CHECKPOINT ? [] : ['--use-checkpoint'],
  ].flat();
  return flags.length === 0 ? '(as it is)' : flags.join(' ');
}

export function adviceTable(alternatives: readonly Alternative[]): string {
  const row = ({ flags, footprint, fits: good }: Alternative): string[] => [
    flags,
    'refused' in footprint ? 'a tensor is too large' : memory(footprint.bytes),
    'refused' in footprint ? '' : (footprint.flops / 1e12).toFixed(2),
    good ? 'yes' : 'no',
  ];
  return table([['flags', 'memory', 'TFLOP an update', 'fits'], ...alternatives.map(row)]);
}

function memory(bytes: number): string {
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
