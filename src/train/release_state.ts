// The optimizer's state as the release's checkpoints hold it. It numbers parameters in the order of its two
// groups, the decayed ones first, frozen ones counted too; a number has a state once its parameter was
// updated.
import { isHostTensor, toFloat32, type HostTensor } from '../data/host_tensor.ts';
import type { PthValue } from '../data/pickle_write.ts';
import { parameterTable, type Parameter } from '../mtlora/names.ts';
import type { ModelSpec } from '../mtlora/spec.ts';
import { GROWTH_INTERVAL, type LossScale } from '../ops/optim/loss_scale.ts';
import type { Config } from './config_schema.ts';
import { rateAt, type Schedule } from './schedule.ts';

type Tensors = ReadonlyMap<string, HostTensor>;

/** What the optimizer knows: updates done, and both moments of every parameter that it updates. */
export type OptimizerState = { readonly step: number; readonly moments: readonly [Tensors, Tensors] };
type Moments = readonly [Map<string, HostTensor>, Map<string, HostTensor>];

const ADAM = ['exp_avg', 'exp_avg_sq'] as const;
const SGD = 'momentum_buffer';

/** The two groups of parameters, whose concatenation numbers them. Position tables are in the first one. */
export function releaseGroups(spec: ModelSpec): [Parameter[], Parameter[]] {
  const parameters = parameterTable(spec).filter(({ kind }) => kind === 'param');
  return [parameters.filter(({ decay }) => decay), parameters.filter(({ decay }) => !decay)];
}

/** The dict `optimizer` of a checkpoint of the release, as torch 1.13 writes it. */
export function optimizerDict(
  spec: ModelSpec, { OPTIMIZER, WEIGHT_DECAY }: Config['TRAIN'], schedule: Schedule, state: OptimizerState,
): PthValue {
  const { step, moments } = state;
  const groups = releaseGroups(spec);
  const names = groups.flat().map(({ name }) => name);
  const sgd = OPTIMIZER.NAME === 'sgd';
  const own: Record<string, PthValue> = sgd ? { momentum: OPTIMIZER.MOMENTUM, dampening: 0, nesterov: true }
    : { betas: OPTIMIZER.BETAS, eps: OPTIMIZER.EPS, amsgrad: false, capturable: false };
  const lr = rateAt(schedule, Math.max(step - 1, 0));
  const common = { lr, initial_lr: schedule.base, foreach: null, maximize: false };
  const stateOf = (name: string): PthValue => sgd ? { [SGD]: moments[0].get(name)! } : {
    step: { dtype: 'F32', shape: [], data: Float32Array.of(step) },
    [ADAM[0]]: moments[0].get(name)!,
    [ADAM[1]]: moments[1].get(name)!,
  };
  let next = 0;
  return {
    state: new Map(names.flatMap((name, id) => moments[0].has(name) ? [[id, stateOf(name)] as const] : [])),
    param_groups: groups.map((group, i) => ({
      ...common, ...own, weight_decay: i === 0 ? WEIGHT_DECAY : 0, params: group.map(() => next++),
    })),
  };
}

/**
 * The dict `lr_scheduler` of the release's cosine schedule. The release copies its entries over the schedule
 * that its own configuration makes; of the other schedules only what all have in common is given.
 */
export function schedulerDict(schedule: Schedule): PthValue {
  const { kind, base, warm, min, warmupSteps, totalSteps, warmupPrefix } = schedule;
  const groups = 2;
  const each = (value: number): number[] => Array<number>(groups).fill(value);
  const common = {
    param_group_field: 'lr', _initial_param_group_field: 'initial_lr', base_values: each(base), metric: null,
    noise_range_t: null, noise_pct: 0.67, noise_type: 'normal', noise_std: 1, noise_seed: 42,
  };
  if (kind !== 'cosine') return common;
  return {
    ...common, t_in_epochs: false,
    t_initial: warmupPrefix ? totalSteps - warmupSteps : totalSteps, lr_min: min,
    cycle_mul: 1, cycle_decay: 1, cycle_limit: 1, k_decay: 1,
    warmup_t: warmupSteps, warmup_lr_init: warm, warmup_prefix: warmupPrefix,
    warmup_steps: each(warmupSteps > 0 ? (base - warm) / warmupSteps : 1),
  };
}

/**
 * The optimizer's state in a checkpoint of the release.
 *
 * @param root what `readPth` made of the file
 * @returns null where it holds none
 */
export function readOptimizerDict(spec: ModelSpec, root: unknown):
  { step: number; moments: Moments } | null {
  const dict = root instanceof Map ? root.get('optimizer') as unknown : undefined;
  if (dict === undefined) return null;
  const states = entryOf('optimizer', dict, 'state');
  const ids = numbering(entryOf('optimizer', dict, 'param_groups'), releaseGroups(spec));
  const moments: Moments = [new Map(), new Map()];
  let step = 0;
  for (const [parameter, id] of ids) {
    const state = states instanceof Map ? states.get(id) as unknown : undefined;
    if (!(state instanceof Map)) continue;                 // frozen, or no loss depends on it
    if (state.has(SGD)) {
      moments[0].set(parameter.name, momentOf(state, SGD, parameter));
      continue;
    }
    ADAM.forEach((field, which) => moments[which]!.set(parameter.name, momentOf(state, field, parameter)));
    step = Math.max(step, countOf(state.get('step'), parameter));
  }
  return { step, moments };
}

/** The dict `scaler`, as the state of torch.cuda.amp.GradScaler. */
export function scalerDict({ scale, goodSteps }: LossScale): PthValue {
  return {
    scale, _growth_tracker: goodSteps,
    growth_factor: 2, backoff_factor: 0.5, growth_interval: GROWTH_INTERVAL,
  };
}

/** The loss scale in a checkpoint of the release. @returns null where the run scaled no loss */
export function readScalerDict(root: unknown): LossScale | null {
  const dict = root instanceof Map ? root.get('scaler') as unknown : undefined;
  if (!(dict instanceof Map) || dict.size === 0) return null;
  const [scale, goodSteps] = [entryOf('scaler', dict, 'scale'), entryOf('scaler', dict, '_growth_tracker')];
  if (typeof scale !== 'number' || !(scale > 0) || !Number.isFinite(scale)) {
    throw new Error(`scaler: "scale" must be a number above 0, got ${String(scale)}`);
  }
  if (!Number.isSafeInteger(goodSteps) || (goodSteps as number) < 0) {
    throw new Error(`scaler: "_growth_tracker" must be a whole number, got ${String(goodSteps)}`);
  }
  return { scale, goodSteps: goodSteps as number };
}

/**
 * Where a run of the release stood, by what its checkpoint in `file` holds.
 *
 * @returns null where that is a model alone
 */
export function readReleaseRun(spec: ModelSpec, root: unknown, file: string):
  { epochs: number; moments: Moments; lossScale: LossScale | null } | null {
  try {
    const state = readOptimizerDict(spec, root);
    if (!state) return null;
    const epoch = (root as Map<unknown, unknown>).get('epoch');
    if (!Number.isSafeInteger(epoch) || (epoch as number) < -1) {
      throw new Error('"epoch" must be a whole number');
    }
    return { epochs: epoch as number + 1, moments: state.moments, lossScale: readScalerDict(root) };
  } catch (error) {
    throw new Error(`Cannot resume from "${file}": ${(error as Error).message} `
      + '(--weights-only starts a new run from its weights)', { cause: error });
  }
}

function entryOf(what: 'optimizer' | 'scaler', dict: unknown, key: string): unknown {
  if (dict instanceof Map && dict.has(key)) return dict.get(key) as unknown;
  throw new Error(`${what}: must hold "${key}"`);
}

/** Each parameter with the number under which its state stands. */
function numbering(groups: unknown, expected: readonly Parameter[][]): [Parameter, unknown][] {
  const given = Array.isArray(groups) ? groups.map((group) => entryOf('optimizer', group, 'params')) : [];
  const wanted = expected.map(({ length }) => length);
  const lengths = given.map((ids) => Array.isArray(ids) ? ids.length : 0);
  if (lengths.join() !== wanted.join()) {
    throw new Error(`optimizer: its groups must hold [${wanted.join(', ')}] parameters, `
      + `got [${lengths.join(', ')}]`);
  }
  return expected.flatMap((group, g) => group.map((parameter, i): [Parameter, unknown] =>
    [parameter, (given[g] as unknown[])[i]]));
}

function momentOf(
  state: ReadonlyMap<unknown, unknown>, field: string, { name, shape }: Parameter,
): HostTensor {
  const tensor = state.get(field);
  if (!isHostTensor(tensor) || tensor.shape.join() !== shape.join()) {
    throw new Error(`optimizer: "${field}" of "${name}" must be [${shape.join(', ')}], `
      + `got ${isHostTensor(tensor) ? `[${tensor.shape.join(', ')}]` : 'no tensor'}`);
  }
  const data = toFloat32(tensor);
  if (!data.every(Number.isFinite)) {
    throw new Error(`optimizer: "${field}" of "${name}" must hold finite numbers`);
  }
  return { dtype: 'F32', shape, data };
}

/** torch before 1.12 keeps the number of updates as an int, later ones as a tensor. */
function countOf(value: unknown, { name }: Parameter): number {
  const count = isHostTensor(value) ? Number(value.data[0]) : value;
  if (typeof count === 'number' && Number.isSafeInteger(count) && count >= 0) return count;
  throw new Error(`optimizer: "step" of "${name}" must be a whole number`);
}
