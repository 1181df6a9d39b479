// Multiply-accumulates of one image's forward pass: every matrix product and convolution of the model, the
// low-rank ones included; no biases, norms, softmax or resizing.
import {
  adapterAt, blockWindow, featureShape, isSpecialized, siteShape, stageChannels, stageSide,
} from './spec.ts';
import type { ModelSpec, Site, TaskSpec } from './spec.ts';

export type Macs = {
  readonly patchEmbed: number;
  /** The pretrained maps of attention. */
  readonly qkvProj: number;
  /** Q Kᵀ and A V. */
  readonly attention: number;
  readonly mlp: number;
  readonly mergingShared: number;
  readonly mergingTasks: number;
  readonly loraShared: number;
  readonly loraTasks: number;
  readonly downsamplers: number;
  /** Per task, in the order of the model's tasks. */
  readonly heads: readonly number[];
};

const BLOCK_SITES: readonly Site[] = ['qkv', 'proj', 'fc1', 'fc2'];

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Sums `count` over all blocks. */
function overBlocks(spec: ModelSpec, count: (stage: number, block: number) => number): number {
  return sum(spec.depths.map((depth, stage) =>
    sum(Array.from({ length: depth }, (_, block) => count(stage, block)))));
}

function tokens(spec: ModelSpec, stage: number): number {
  return stageSide(spec, stage) ** 2;
}

/** in · out, the cost of a map per token. */
function mapCost(spec: ModelSpec, stage: number, site: Site): number {
  const [out, input] = siteShape(spec, stage, site);
  return out * input;
}

/** Low-rank products of a layer per token: of the shared branch and of all task branches. */
function branchCost(spec: ModelSpec, stage: number, block: number, site: Site):
  { shared: number; tasks: number } {
  const adapter = adapterAt(spec, stage, block, site);
  if (!adapter) return { shared: 0, tasks: 0 };
  const [out, input] = siteShape(spec, stage, site);
  return {
    shared: adapter.shared ? adapter.rank * (input + out) : 0,
    tasks: sum(adapter.tasks.map(({ rank }) => rank * (input + out))),
  };
}

/** Whether a stage hands a stream of its own to each task: its last fc2 has task branches. */
function hasTaskStreams(spec: ModelSpec, stage: number): boolean {
  const last = spec.depths[stage]! - 1;
  return isSpecialized(spec, stage, last) && (adapterAt(spec, stage, last, 'fc2')?.tasks.length ?? 0) > 0;
}

function merging(spec: ModelSpec): { shared: number; tasks: number; lora: number } {
  const stages = spec.depths.slice(0, -1).map((_, stage) => {
    const merged = tokens(spec, stage) / 4;
    const streams = hasTaskStreams(spec, stage) ? spec.tasks.length : 0;
    const shared = merged * mapCost(spec, stage, 'reduction');
    const lora = merged * branchCost(spec, stage, 0, 'reduction').shared;
    return { shared, tasks: streams * shared, lora: (1 + streams) * lora };
  });
  return {
    shared: sum(stages.map(({ shared }) => shared)),
    tasks: sum(stages.map(({ tasks }) => tasks)),
    lora: sum(stages.map(({ lora }) => lora)),
  };
}

function downsampler(spec: ModelSpec): number {
  return sum(spec.decoder.channels.map((out, stage) => {
    const { channels, side } = featureShape(spec, stage);
    return side ** 2 * channels * out;
  }));
}

function headCost(spec: ModelSpec, { head, outputs }: TaskSpec): number {
  const { channels, segformerChannels: width } = spec.decoder;
  const input = sum(channels);
  const pixels = featureShape(spec, 0).side ** 2;
  switch (head) {
    case 'hrnet': return pixels * 4 * input * (input + outputs);
    case 'segformer': {
      const levels = sum(channels.map((level, stage) => featureShape(spec, stage).side ** 2 * level * width));
      return levels + pixels * width * (channels.length * width + outputs);
    }
    case 'aspp': {
      // 1×1 and three 3×3 branches, the pooled one, their fusion, a 3×3 and the classifier.
      const branches = pixels * input * 256 * (1 + 3 * 9) + input * 256;
      return branches + pixels * 256 * (5 * 256 + 9 * 256 + outputs);
    }
    case 'updecoder': {
      const upward = pixels * 4 * 32 * (input + 4 * 32 + 16 * 32);
      return upward + 64 * pixels * 9 * 32 * outputs;
    }
  }
}

export function countMacs(spec: ModelSpec): Macs {
  const perBlock = (sites: readonly Site[]): number => overBlocks(spec, (stage) =>
    tokens(spec, stage) * sum(sites.map((site) => mapCost(spec, stage, site))));
  const branches = (kind: 'shared' | 'tasks'): number => overBlocks(spec, (stage, block) =>
    tokens(spec, stage) * sum(BLOCK_SITES.map((site) => branchCost(spec, stage, block, site)[kind])));
  const reduce = merging(spec);
  const downsamplers = { none: 0, shared: 1, per_task: spec.tasks.length }[spec.decoder.downsampler];
  return {
    patchEmbed: tokens(spec, 0) * spec.patchSize ** 2 * spec.inChannels * spec.embedDim,
    qkvProj: perBlock(['qkv', 'proj']),
    attention: overBlocks(spec, (stage, block) =>
      2 * tokens(spec, stage) * blockWindow(spec, stage, block).window ** 2 * stageChannels(spec, stage)),
    mlp: perBlock(['fc1', 'fc2']),
    mergingShared: reduce.shared,
    mergingTasks: reduce.tasks,
    loraShared: branches('shared') + reduce.lora,
    loraTasks: branches('tasks'),
    downsamplers: downsamplers * downsampler(spec),
    heads: spec.tasks.map((task) => headCost(spec, task)),
  };
}

export function totalMacs({ heads, ...parts }: Macs): number {
  return sum(Object.values(parts)) + sum(heads);
}
