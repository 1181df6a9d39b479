// The learning rate of every update.
//
//   warm-up   lr(t) = warm + t (base − warm) / w                          t < w
//   cosine    lr(t) = min + ½ (base − min) (1 + cos(π u / L))              min once u ≥ L
//   linear    lr(t) = base − 0.99 base · u / L                             falls below 0 past its end
//   step      lr(t) = base · rate^⌊u / decay⌋
//   multistep lr(t) = base · gamma^(milestones that are ≤ t)
//
// t counts updates, u = t − w. Cosine without warm-up prefix has u = t and L = all updates.
// The release sets lr(t) after update t: update k runs at lr(max(k − 1, 0)), so the first two share a value.
import type { Config } from './config_schema.ts';

export type Schedule = {
  readonly kind: Config['TRAIN']['LR_SCHEDULER']['NAME'];
  readonly base: number;
  readonly warm: number;
  readonly min: number;
  readonly warmupSteps: number;
  readonly totalSteps: number;
  readonly warmupPrefix: boolean;
  readonly decaySteps: number;
  readonly decayRate: number;
  readonly gamma: number;
  readonly milestones: readonly number[];
};

/** The release fixes the linear schedule's end at this share of its base. */
const LINEAR_END = 0.01;

/** A schedule over `stepsPerEpoch` updates an epoch; rates are taken as they stand. */
export function scheduleOf(train: Pick<Config['TRAIN'], 'EPOCHS' | 'WARMUP_EPOCHS' | 'BASE_LR' | 'WARMUP_LR'
  | 'MIN_LR' | 'LR_SCHEDULER'>, stepsPerEpoch: number): Schedule {
  const { NAME, DECAY_EPOCHS, DECAY_RATE, WARMUP_PREFIX, GAMMA, MULTISTEPS } = train.LR_SCHEDULER;
  return {
    kind: NAME,
    base: train.BASE_LR,
    warm: train.WARMUP_LR,
    min: train.MIN_LR,
    warmupSteps: Math.trunc(train.WARMUP_EPOCHS * stepsPerEpoch),
    totalSteps: Math.trunc(train.EPOCHS * stepsPerEpoch),
    warmupPrefix: WARMUP_PREFIX,
    decaySteps: Math.trunc(DECAY_EPOCHS * stepsPerEpoch),
    decayRate: DECAY_RATE,
    gamma: GAMMA,
    milestones: MULTISTEPS.map((epoch) => epoch * stepsPerEpoch),
  };
}

/** The run's schedule: rates scaled by the images of an update over 512, as the release does. */
export function buildSchedule({ TRAIN, DATA }: Config, batchesPerEpoch: number): Schedule {
  const scale = DATA.BATCH_SIZE * TRAIN.ACCUMULATION_STEPS / 512;
  const scaled = {
    ...TRAIN,
    BASE_LR: TRAIN.BASE_LR * scale,
    WARMUP_LR: TRAIN.WARMUP_LR * scale,
    MIN_LR: TRAIN.MIN_LR * scale,
  };
  return scheduleOf(scaled, Math.floor(batchesPerEpoch / TRAIN.ACCUMULATION_STEPS));
}

function cosine({ base, min, warmupSteps, totalSteps, warmupPrefix }: Schedule, t: number): number {
  const [at, length] = warmupPrefix ? [t - warmupSteps, totalSteps - warmupSteps] : [t, totalSteps];
  return at < length ? min + 0.5 * (base - min) * (1 + Math.cos(Math.PI * at / length)) : min;
}

/** lr(t): what the release sets after update t. */
export function rateAt(schedule: Schedule, t: number): number {
  const { kind, base, warm, warmupSteps, totalSteps } = schedule;
  if (t < warmupSteps) return warm + t * (base - warm) / warmupSteps;
  switch (kind) {
    case 'cosine': return cosine(schedule, t);
    case 'linear': return base - base * (1 - LINEAR_END) * (t - warmupSteps) / (totalSteps - warmupSteps);
    case 'step': return base * schedule.decayRate ** Math.floor((t - warmupSteps) / schedule.decaySteps);
    case 'multistep': return base * schedule.gamma ** schedule.milestones.filter((at) => at <= t).length;
  }
}

/** The rate that update `step` (from 0) runs at. */
export function rateOfUpdate(schedule: Schedule, step: number): number {
  return rateAt(schedule, Math.max(step - 1, 0));
}
