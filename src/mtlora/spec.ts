// The resolved description of one model: everything that fixes its tensors and its arithmetic, no more.
import { blockShift, fitWindow } from '../swin/window.ts';

export const TASKS = ['semseg', 'normals', 'sal', 'human_parts', 'edge', 'depth'] as const;
export type Task = (typeof TASKS)[number];

export const HEADS = ['hrnet', 'segformer', 'aspp', 'updecoder'] as const;
export type Head = (typeof HEADS)[number];

export type SharedMode = 'matrix' | 'matrixv2' | 'addition' | 'lora_only';

/** The linear layers that can carry low-rank branches. */
export type Site = 'qkv' | 'proj' | 'fc1' | 'fc2' | 'reduction';

export type TaskSpec = {
  readonly name: Task;
  readonly outputs: number;
  readonly head: Head;
};

/** Ranks and factors of one stage; `taskRank` and `taskScale` hold every task of the model. */
export type StageLora = {
  readonly rank: number;
  readonly scale: number;
  readonly taskRank: Readonly<Partial<Record<Task, number>>>;
  readonly taskScale: Readonly<Partial<Record<Task, number>>>;
  readonly dropout: number;
};

export type LoraSpec = {
  readonly mode: SharedMode;
  readonly stages: readonly StageLora[];
  readonly sites: Readonly<Record<Site, boolean>>;
  /** Task branches in every block, not only in a stage's last one. */
  readonly intermediateSpecialization: boolean;
  /** Whether the factors of the shared branches, and of the tasks', are trained. */
  readonly trainableScale: boolean;
  readonly trainableTaskScale: boolean;
  readonly bias: 'none' | 'all';
  readonly freezePretrained: boolean;
  /** Without the branches that `mtlora-train merge` folded into their linears, see `afterMerge`. */
  readonly merged: boolean;
};

export type FreezeSpec = {
  /** The whole backbone (decoders-only training of a plain Swin). */
  readonly backbone: boolean;
  readonly patchEmbed: boolean;
  readonly layerNorm: boolean;
  readonly relativePositionBias: boolean;
  readonly downsampleReduction: boolean;
};

export type DecoderSpec = {
  /** Channels of the four maps that a head gets; the raw stage channels without downsampler. */
  readonly channels: readonly number[];
  readonly downsampler: 'per_task' | 'shared' | 'none';
  readonly segformerChannels: number;
};

export type ModelSpec = {
  readonly imgSize: number;
  readonly patchSize: number;
  readonly inChannels: number;
  readonly embedDim: number;
  readonly depths: readonly number[];
  readonly heads: readonly number[];
  readonly windowSize: number;
  readonly mlpRatio: number;
  readonly qkvBias: boolean;
  readonly patchNorm: boolean;
  readonly dropRate: number;
  /** Stochastic depth: the rate of each block of each stage. */
  readonly dropPath: readonly (readonly number[])[];
  /** In the order of the command line: the order of streams and of loss terms. */
  readonly tasks: readonly TaskSpec[];
  readonly decoder: DecoderSpec;
  /** null: plain Swin. */
  readonly lora: LoraSpec | null;
  readonly freeze: FreezeSpec;
};

/** What one linear layer adds to its frozen map; `tasks` is empty where the layer is task-agnostic. */
export type Adapter = {
  readonly mode: Exclude<SharedMode, 'lora_only'>;
  /** Of the shared pair. 0: the layer has no low-rank branch at all, and returns no task outputs. */
  readonly rank: number;
  /** Whether there is a shared pair: mode addition has none. */
  readonly shared: boolean;
  readonly scale: number;
  readonly dropout: number;
  readonly trainableScale: boolean;
  readonly trainableTaskScale: boolean;
  readonly tasks: readonly { readonly task: Task; readonly rank: number; readonly scale: number }[];
};

/** Channels inside the blocks of a stage. */
export function stageChannels(spec: ModelSpec, stage: number): number {
  return spec.embedDim * 2 ** stage;
}

/** Side of a stage's square token grid. */
export function stageSide(spec: ModelSpec, stage: number): number {
  return spec.imgSize / spec.patchSize / 2 ** stage;
}

/** What the decoders see of a stage: its map after patch merging, which the last stage lacks. */
export function featureShape(spec: ModelSpec, stage: number): { channels: number; side: number } {
  const merged = Math.min(stage + 1, spec.depths.length - 1);
  return { channels: stageChannels(spec, merged), side: stageSide(spec, merged) };
}

export function blockWindow(spec: ModelSpec, stage: number, block: number):
  { window: number; shift: number } {
  const side = stageSide(spec, stage);
  return fitWindow(side, side, spec.windowSize, blockShift(block, spec.windowSize));
}

/** Whether a block's proj, fc1 and fc2 carry task branches. */
export function isSpecialized(spec: ModelSpec, stage: number, block: number): boolean {
  if (!spec.lora || spec.lora.mode === 'lora_only') return false;
  return spec.lora.intermediateSpecialization || block === spec.depths[stage]! - 1;
}

/** The branches of one layer; null where it is a plain linear. `block` has no meaning for `reduction`. */
export function adapterAt(spec: ModelSpec, stage: number, block: number, site: Site): Adapter | null {
  if (!spec.lora?.sites[site]) return null;
  const lora = spec.lora;
  const { rank, scale, dropout, taskRank, taskScale } = lora.stages[stage]!;
  const agnostic = site === 'qkv' || site === 'reduction' || rank === 0 || !isSpecialized(spec, stage, block);
  const tasks = agnostic ? [] : spec.tasks.map(({ name }) =>
    ({ task: name, rank: taskRank[name]!, scale: taskScale[name]! }));
  const mode = layerMode(lora.mode, tasks.length);
  const adapter = {
    mode, rank, shared: mode !== 'addition', scale, dropout, tasks,
    trainableScale: lora.trainableScale, trainableTaskScale: lora.trainableTaskScale,
  };
  return lora.merged ? afterMerge(spec, adapter, stage, block, site) : adapter;
}

/** Whether the task outputs of a block's layers reach a loss: in mode addition even those thrown away do. */
export function keepsTaskOutputs({ lora, depths }: ModelSpec, stage: number, block: number): boolean {
  return lora!.mode === 'addition' || (lora!.sites.fc2 && block === depths[stage]! - 1);
}

// What a merge leaves of the branches. The shared update can be part of W where every output contains it:
// where there are no task outputs (any more), and in mode matrixv2. In mode matrix task outputs need the bare
// W, and in mode addition the shared output is no linear map of the input.
function afterMerge(
  spec: ModelSpec, adapter: Adapter, stage: number, block: number, site: Site,
): Adapter | null {
  const tasks = keepsTaskOutputs(spec, stage, block) ? adapter.tasks : [];
  if (tasks.length === 0) return null;
  if (adapter.mode === 'addition') return adapter;
  // nothing depends on the very last shared output
  const unused = site === 'fc2' && stage === spec.depths.length - 1;
  const shared = adapter.mode === 'matrix' && !unused;
  return { ...adapter, mode: 'matrix', tasks, shared, trainableScale: adapter.trainableScale && shared };
}

/** The mode of a layer: without task branches it has a plain shared pair, whatever the model's mode. */
export function layerMode(mode: SharedMode, tasks: number): Adapter['mode'] {
  return mode === 'lora_only' || tasks === 0 ? 'matrix' : mode;
}

/** Widths of a layer: [out, in]. */
export function siteShape(spec: ModelSpec, stage: number, site: Site): [number, number] {
  const channels = stageChannels(spec, stage);
  const hidden = Math.floor(channels * spec.mlpRatio);
  switch (site) {
    case 'qkv': return [3 * channels, channels];
    case 'proj': return [channels, channels];
    case 'fc1': return [hidden, channels];
    case 'fc2': return [channels, hidden];
    case 'reduction': return [2 * channels, 4 * channels];
  }
}

/** Rates rise linearly over all blocks, from 0 to `rate`. */
export function dropPathRates(depths: readonly number[], rate: number): number[][] {
  const last = depths.reduce((sum, depth) => sum + depth, 0) - 1;
  let block = 0;
  return depths.map((depth) => Array.from({ length: depth }, () => last > 0 ? (rate * block++) / last : 0));
}
