// How the tensors of a state dict lie on the device: most as they are, but what runs as one product lies as
// one tensor.
//
// A layer's low-rank factors are stacked, A of all branches below each other and B likewise, transposed;
// the decoders' weights lie on a task axis. Where HRNet's heads are the only ones, widths of their maps are
// rounded up to whole vec4, as 18 channels and rows of 270 are read one value at a time: what is added is 0,
// and stays so, as its gradient is. A pack keeps the release's names as parts of it, so that checkpoints see
// only those.
import { size } from '../autograd/shape.ts';
import { transpose } from '../data/host_tensor.ts';
import { isNeverUpdated } from './freeze.ts';
import { isHeld, parameterTable, siteName, type Parameter } from './names.ts';
import { adapterAt, featureShape, type ModelSpec, type Site, type Task } from './spec.ts';

/**
 * How a tensor of the state dict lies in its pack: as it is; [out, r] as [r, out]; or with room: a matrix of
 * so many rows, each of runs, with their columns and the room that these have.
 */
type Layout = 'plain' | 'transposed' | { readonly rows: number; readonly runs: readonly Run[] };
type Run = { readonly columns: number; readonly room: number };

/** A tensor of the state dict inside a pack, from element `at` on. */
export type Part = { readonly parameter: Parameter; readonly at: number; readonly layout: Layout };

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
  for (const { name, names, shape, layout } of groups(spec, table)) {
    const parameters = names.map((each) => table.get(each)!);
    for (const each of names) taken.add(each);
    packs.push(pack(spec, name, shape, parameters, layout));
  }
  for (const parameter of table.values()) {
    if (taken.has(parameter.name) || !isHeld(parameter)) continue;
    packs.push(pack(spec, parameter.name, parameter.shape, [parameter], 'plain'));
  }
  return packs;
}

/** A part's values as they lie in the pack. @param values in the state dict's order */
export function laidOut({ parameter: { shape }, layout }: Part, values: Float32Array): Float32Array {
  if (layout === 'plain') return values;
  if (layout === 'transposed') return transpose(values, shape[0]!, shape[1]!);
  const laid = new Float32Array(lengthOf(shape, layout));
  for (const { from, to, columns } of placesOf(shape, layout)) {
    laid.set(values.subarray(from, from + columns), to);
  }
  return laid;
}

/** A part's values in the state dict's order. @param whole the pack's values */
export function takenOut({ parameter: { shape }, at, layout }: Part, whole: Float32Array): Float32Array {
  const laid = whole.subarray(at, at + lengthOf(shape, layout));
  if (layout === 'plain') return laid.slice();
  if (layout === 'transposed') return transpose(laid, shape[1]!, shape[0]!);
  const values = new Float32Array(size(shape));
  for (const { from, to, columns } of placesOf(shape, layout)) {
    values.set(laid.subarray(to, to + columns), from);
  }
  return values;
}

const wholeQuads = (extent: number): number => Math.ceil(extent / 4) * 4;
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const roomOf = (runs: readonly Run[]): number => sum(runs.map(({ room }) => room));

/** Elements that a part takes of its pack. */
function lengthOf(shape: readonly number[], layout: Layout): number {
  return typeof layout === 'string' ? size(shape) : layout.rows * roomOf(layout.runs);
}

// the runs of all rows: where each begins in the state dict's tensor and in the pack
function placesOf(
  [rows]: readonly number[], { runs }: Exclude<Layout, string>,
): { from: number; to: number; columns: number }[] {
  let [from, to] = [0, 0];
  return Array.from({ length: rows! }, () => runs.map(({ columns, room }) => {
    const place = { from, to, columns };
    from += columns;
    to += room;
    return place;
  })).flat();
}

type Group = { name: string; names: string[]; shape: number[]; layout: Layout };
type Table = ReadonlyMap<string, Parameter>;

function pack(
  spec: ModelSpec, name: string, shape: readonly number[], parameters: readonly Parameter[], layout: Layout,
): Pack {
  let at = 0;
  const parts = parameters.map((parameter) => {
    const part = { parameter, at, layout };
    at += lengthOf(parameter.shape, layout);
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
  const lone = apart ? [{
    name: dead, names: [dead], shape: [rank!, out], layout: 'transposed' as const,
  }] : [];
  const stacked = (['A', 'B'] as const).map((factor) => {
    const names = branches.map((suffix) => `${name}.lora_${suffix(factor)}`);
    const [first] = names;
    const shapes = names.map((each) => table.get(each)!.shape);
    const rank = sum(shapes.map((shape) => shape[factor === 'A' ? 0 : 1]!));
    const width = table.get(first!)!.shape[factor === 'A' ? 1 : 0]!;
    const layout = factor === 'A' ? 'plain' as const : 'transposed' as const;
    return { name: `${name}.lora_${factor}`, names, shape: [rank, width], layout };
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
  const { channels, downsampler } = spec.decoder;
  const roomy = spec.tasks.every(({ head }) => head === 'hrnet') && downsampler !== 'none';
  const widened = channels.map((columns): Run => ({ columns, room: wholeQuads(columns) }));
  const stack = (name: string, names: string[], runs?: readonly Run[]): Group[] => {
    const [first] = names;
    if (first === undefined) return [];
    // 1x1 kernels are matrices
    const shape = table.get(first)!.shape.filter((dim, axis) => axis < 2 || dim !== 1);
    if (!roomy || !runs) return [{ name, names, shape: [names.length, ...shape], layout: 'plain' }];
    const rows = wholeQuads(shape[0]!);
    return [{ name, names, shape: [names.length, rows, roomOf(runs)], layout: { rows, runs } }];
  };
  const levels = channels.flatMap((_, level) => {
    const { channels: columns } = featureShape(spec, level);
    const [suffix, runs] = [`downsample_${level}.weight`, [{ columns, room: columns }]];
    const name = `downsampler.${suffix}`;
    const owned = spec.tasks.map((task) => `downsampler.${task.name}.${suffix}`);
    if (downsampler === 'per_task') return stack(name, owned, runs);
    // one for all tasks has no axis of tasks
    return downsampler === 'shared' && roomy
      ? stack(name, [name], runs).map((group) => ({ ...group, shape: group.shape.slice(1) })) : [];
  });
  const hrnet = spec.tasks.filter(({ head }) => head === 'hrnet').map(({ name }) => name);
  const suffixes = ['0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean', '1.running_var'];
  return [...levels, ...suffixes.flatMap((suffix) => {
    const names = hrnet.map((task) => `decoders.decoders.${task}.last_layer.${suffix}`);
    return stack(`decoders.hrnet.last_layer.${suffix}`, names, suffix === '0.weight' ? widened : undefined);
  })];
}
