// How the tensors of a state dict lie on the device: most as they are, but what runs as one product lies as
// one tensor.
//
// A layer's low-rank factors are stacked, A of all branches below each other and B likewise, transposed;
// the decoders' weights lie on a task axis. A pack keeps the release's names as parts of it, so that
// checkpoints see only those.
import { isNeverUpdated } from './freeze.ts';
import { isHeld, parameterTable, siteName, type Parameter } from './names.ts';
import { adapterAt, type ModelSpec, type Site, type Task } from './spec.ts';

/** A tensor of the state dict inside a pack, from element `at` on; `transposed` [out, r] lies as [r, out]. */
export type Part = { readonly parameter: Parameter; readonly at: number; readonly transposed: boolean };

export type Pack = {
  readonly name: string;
  readonly shape: readonly number[];
  readonly parts: readonly Part[];
  readonly trainable: boolean;
  readonly decay: boolean;
  /** Trains by name, but no loss depends on it: the optimizer leaves it alone. */
  readonly dead: boolean;
  readonly kind: 'param' | 'buffer';
};

/** The packs of a model. Index and mask buffers are not among them: kernels compute those. */
export function packParameters(spec: ModelSpec): Pack[] {
  const table = new Map(parameterTable(spec).map((parameter) => [parameter.name, parameter]));
  const taken = new Set<string>();
  const packs: Pack[] = [];
  for (const { name, names, shape, transposed } of groups(spec, table)) {
    const parameters = names.map((each) => table.get(each)!);
    for (const each of names) taken.add(each);
    packs.push(pack(spec, name, shape, parameters, transposed));
  }
  for (const parameter of table.values()) {
    if (taken.has(parameter.name) || !isHeld(parameter)) continue;
    packs.push(pack(spec, parameter.name, parameter.shape, [parameter], false));
  }
  return packs;
}

type Group = { name: string; names: string[]; shape: number[]; transposed: boolean };
type Table = ReadonlyMap<string, Parameter>;

function pack(
  spec: ModelSpec, name: string, shape: readonly number[], parameters: readonly Parameter[],
  transposed: boolean,
): Pack {
  let at = 0;
  const parts = parameters.map((parameter) => {
    const part = { parameter, at, transposed };
    at += parameter.shape.reduce((a, b) => a * b, 1);
    return part;
  });
  const { trainable, decay, kind } = parameters[0]!;
  return { name, shape, parts, trainable, decay, kind, dead: isNeverUpdated(spec, parameters[0]!.name) };
}

function groups(spec: ModelSpec, table: Table): Group[] {
  return [...siteGroups(spec, table), ...decoderGroups(spec, table)];
}

function siteGroups(spec: ModelSpec, table: Table): Group[] {
  const found: Group[] = [];
  spec.depths.forEach((depth, stage) => {
    for (let block = 0; block < depth; block++) {
      for (const site of ['qkv', 'proj', 'fc1', 'fc2'] as const) {
        found.push(...loraGroups(spec, table, stage, block, site));
      }
    }
    if (stage < spec.depths.length - 1) found.push(...loraGroups(spec, table, stage, 0, 'reduction'));
  });
  return found;
}

// branches that no loss depends on stand apart, so that the optimizer can leave them alone
function loraGroups(spec: ModelSpec, table: Table, stage: number, block: number, site: Site): Group[] {
  const adapter = adapterAt(spec, stage, block, site);
  if (!adapter || adapter.rank === 0) return [];
  const name = siteName(stage, block, site);
  const branches = loraBranches(spec, stage, block, site).map(({ suffix }) => suffix);
  if (branches.length === 0) return [];
  const dead = `${name}.lora_shared_B`;
  const [out, rank] = table.get(dead)?.shape ?? [];
  const apart = out !== undefined && branches[0]!('B') !== 'shared_B';
  const lone = apart ? [{ name: dead, names: [dead], shape: [rank!, out], transposed: true }] : [];
  const stacked = (['A', 'B'] as const).map((factor) => {
    const names = branches.map((suffix) => `${name}.lora_${suffix(factor)}`);
    const [first] = names;
    const shapes = names.map((each) => table.get(each)!.shape);
    const rank = shapes.reduce((sum, shape) => sum + shape[factor === 'A' ? 0 : 1]!, 0);
    const width = table.get(first!)!.shape[factor === 'A' ? 1 : 0]!;
    return { name: `${name}.lora_${factor}`, names, shape: [rank, width], transposed: factor === 'B' };
  });
  return [...stacked, ...lone];
}

export type LoraBranch = {
  /** null: the shared branch. */
  readonly task: Task | null;
  readonly rank: number;
  readonly scale: number;
  readonly suffix: (factor: 'A' | 'B') => string;
};

/** The branches of a site's pack, in order: the shared one, then the tasks', without dead and absent ones. */
export function loraBranches(spec: ModelSpec, stage: number, block: number, site: Site): LoraBranch[] {
  const { rank, shared: paired, scale, tasks } = adapterAt(spec, stage, block, site)!;
  const lives = ({ suffix }: LoraBranch): boolean =>
    !isNeverUpdated(spec, `${siteName(stage, block, site)}.lora_${suffix('A')}`);
  const shared: LoraBranch = { task: null, rank, scale, suffix: (factor) => `shared_${factor}` };
  const own = tasks.map((each): LoraBranch =>
    ({ ...each, suffix: (factor) => `tasks_${factor}.${each.task}` }));
  return [...paired ? [shared] : [], ...own].filter(lives);
}

// downsamplers and HRNet heads of all tasks run as batched products
function decoderGroups(spec: ModelSpec, table: Table): Group[] {
  const stack = (name: string, names: string[]): Group[] => {
    const [first] = names;
    if (first === undefined) return [];
    // 1x1 kernels are matrices
    const shape = table.get(first)!.shape.filter((dim, axis) => axis < 2 || dim !== 1);
    return [{ name, names, shape: [names.length, ...shape], transposed: false }];
  };
  const tasks = spec.tasks.map(({ name }) => name);
  const levels = spec.decoder.downsampler === 'per_task' ? [0, 1, 2, 3].flatMap((level) => {
    const suffix = `downsample_${level}.weight`;
    return stack(`downsampler.${suffix}`, tasks.map((task) => `downsampler.${task}.${suffix}`));
  }) : [];
  const hrnet = spec.tasks.filter(({ head }) => head === 'hrnet').map(({ name }) => name);
  const stacked = ['0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean', '1.running_var'];
  return [...levels, ...stacked.flatMap((suffix) => {
    const names = hrnet.map((task) => `decoders.decoders.${task}.last_layer.${suffix}`);
    return stack(`decoders.hrnet.last_layer.${suffix}`, names);
  })];
}
