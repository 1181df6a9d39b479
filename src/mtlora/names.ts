// Every tensor of a model under its name in the release's state dict, in that state dict's order: its shape,
// whether it trains, how it starts. Model, checkpoints and reports are all built from this table.
import { decoderEntries } from './decoder_names.ts';
import { buffer, conv, norm, param, uniformOver, ZERO } from './entry.ts';
import type { Entry, Init } from './entry.ts';
import { isTrainable } from './freeze.ts';
import { adapterAt, blockWindow, siteShape, stageChannels, stageSide } from './spec.ts';
import type { ModelSpec, Site } from './spec.ts';

export { isHeld, sizeOf } from './entry.ts';
export type { Init } from './entry.ts';

export type Parameter = Entry & {
  readonly trainable: boolean;
  readonly decay: boolean;
};

/** Cut so far out that nothing is ever cut: the release's bounds are absolute, not in units of std. */
const BACKBONE_WEIGHT: Init = { kind: 'normal', std: 0.02, cut: 2 };

/** Site names as modules of a block; patch merging's is a module of the stage. */
const MODULE: Readonly<Record<Exclude<Site, 'reduction'>, string>> = {
  qkv: 'attn.qkv', proj: 'attn.proj', fc1: 'mlp.fc1', fc2: 'mlp.fc2',
};

/** The module that a site is: `backbone.layers.0.blocks.1.attn.qkv`. */
export function siteName(stage: number, block: number, site: Site): string {
  const layer = `backbone.layers.${stage}`;
  return site === 'reduction' ? `${layer}.downsample.reduction` : `${layer}.blocks.${block}.${MODULE[site]}`;
}

/** The frozen map keeps its own name `.linear` inside an adapted layer. */
export function linearName(spec: ModelSpec, stage: number, block: number, site: Site): string {
  return siteName(stage, block, site) + (adapterAt(spec, stage, block, site) ? '.linear' : '');
}

/** A linear layer with its low-rank branches. Tasks stand in alphabetical order, as PyTorch keeps them. */
function linear(spec: ModelSpec, stage: number, block: number, site: Site): Entry[] {
  const name = siteName(stage, block, site);
  const frozen = linearName(spec, stage, block, site);
  const adapter = adapterAt(spec, stage, block, site);
  const [out, input] = siteShape(spec, stage, site);
  const hasBias = site === 'reduction' ? false : site === 'qkv' ? spec.qkvBias : true;
  const pretrained = [
    param(`${frozen}.weight`, [out, input], BACKBONE_WEIGHT),
    ...hasBias ? [param(`${frozen}.bias`, [out], ZERO)] : [],
  ];
  if (!adapter || adapter.rank === 0) return pretrained;

  const tasks = adapter.tasks.toSorted((a, b) => a.task < b.task ? -1 : 1);
  const shared = !adapter.shared ? [] : [
    param(`${name}.lora_shared_A`, [adapter.rank, input], uniformOver(input)),
    param(`${name}.lora_shared_B`, [out, adapter.rank], ZERO),
  ];
  return [
    ...shared,
    ...adapter.trainableScale
      ? [param(`${name}.lora_shared_scale`, [1], { kind: 'constant', value: adapter.scale })] : [],
    ...pretrained,
    ...tasks.map(({ task, rank }) =>
      param(`${name}.lora_tasks_A.${task}`, [rank, input], uniformOver(input))),
    ...tasks.map(({ task, rank }) => param(`${name}.lora_tasks_B.${task}`, [out, rank], ZERO)),
    ...adapter.trainableTaskScale ? tasks.map(({ task, scale }) =>
      param(`${name}.lora_task_scale.${task}`, [1], { kind: 'constant', value: scale })) : [],
    ...adapter.mode === 'addition' ? norm(`${name}.lora_norm`, out) : [],
  ];
}

function block(spec: ModelSpec, stage: number, index: number): Entry[] {
  const name = `backbone.layers.${stage}.blocks.${index}`;
  const channels = stageChannels(spec, stage);
  const side = stageSide(spec, stage);
  const { window, shift } = blockWindow(spec, stage, index);
  const area = window ** 2;
  const mask = buffer(`${name}.attn_mask`, [(side / window) ** 2, area, area],
    { kind: 'shiftMask', side, window, shift });
  return [
    ...shift > 0 ? [mask] : [],
    ...norm(`${name}.norm1`, channels),
    param(`${name}.attn.relative_position_bias_table`, [(2 * window - 1) ** 2, spec.heads[stage]!],
      BACKBONE_WEIGHT),
    buffer(`${name}.attn.relative_position_index`, [area, area], { kind: 'positionIndex', window }, 'I64'),
    ...linear(spec, stage, index, 'qkv'),
    ...linear(spec, stage, index, 'proj'),
    ...norm(`${name}.norm2`, channels),
    ...linear(spec, stage, index, 'fc1'),
    ...linear(spec, stage, index, 'fc2'),
  ];
}

function stage(spec: ModelSpec, index: number): Entry[] {
  const blocks = Array.from({ length: spec.depths[index]! }, (_, i) => block(spec, index, i)).flat();
  if (index === spec.depths.length - 1) return blocks;
  return [
    ...blocks,
    ...linear(spec, index, 0, 'reduction'),
    ...norm(`backbone.layers.${index}.downsample.norm`, 4 * stageChannels(spec, index)),
  ];
}

/** Weight decay reaches matrices, not vectors, and nothing that is called a bias. */
export function isDecayed({ name, shape }: Pick<Entry, 'name' | 'shape'>): boolean {
  return shape.length >= 2 && !name.endsWith('.bias');
}

/** Backbone, then downsamplers, then heads. The release decays position tables too, stock Swin does not. */
export function parameterTable(spec: ModelSpec, { decayPositionBias = true } = {}): Parameter[] {
  const entries = [
    ...conv('backbone.patch_embed.proj', spec.embedDim, spec.inChannels, spec.patchSize, true),
    ...spec.patchNorm ? norm('backbone.patch_embed.norm', spec.embedDim) : [],
    ...spec.depths.flatMap((_, index) => stage(spec, index)),
    ...decoderEntries(spec),
  ];
  return entries.map((entry) => ({
    ...entry,
    trainable: entry.kind === 'param' && isTrainable(spec, entry.name),
    decay: entry.kind === 'param' && isDecayed(entry)
      && (decayPositionBias || !entry.name.endsWith('.relative_position_bias_table')),
  }));
}
