import type { Tensor } from '../autograd/tensor.ts';
import { scope } from '../gpu/program.ts';
import { concat, slice } from '../ops/concat.ts';
import { dropout } from '../ops/dropout.ts';
import { reshape } from '../ops/elementwise.ts';
import { layernorm } from '../ops/layernorm.ts';
import { mergePatches } from '../ops/merge_patches.ts';
import { patchEmbed } from '../ops/patch_embed.ts';
import { firstStream, foldStreams, swinBlock, type Block, type Mode, type Norm } from '../swin/block.ts';
import { linearName, siteName } from './names.ts';
import { loraBranches } from './packing.ts';
import { siteLayer, type Adaptation, type Site } from './site.ts';
import { adapterAt, blockWindow, type Site as SiteKind } from './spec.ts';
import type { ParameterStore } from './store.ts';

/** What a stage hands on: its shared stream to the next stage, and the tasks' streams to the decoders. */
export type StageOutput = {
  /** [1, B, H, W, C] */
  readonly shared: Tensor;
  /** [T, B, H, W, C], or null where the stage makes no task streams. */
  readonly tasks: Tensor | null;
};

export type BackboneMode = Mode & {
  /** Also the low-rank update of the last stage's shared stream, which no output depends on. */
  readonly wholeSharedStream?: boolean;
};

/**
 * The adapted Swin backbone: patch embedding, then stages of blocks whose last one makes the task streams.
 *
 * @param image [B, channels, S, S]
 * @returns each stage's streams after its patch merging, which the last stage lacks
 */
export function backbone(store: ParameterStore, image: Tensor, mode: BackboneMode): StageOutput[] {
  const { spec } = store;
  let x = scope('patch_embed', () => embed(store, image, mode));
  return spec.depths.map((_, stage) => scope(`layers.${stage}`, () => {
    const output = runStage(store, stage, x, mode);
    x = output.shared;
    return output;
  }));
}

function embed(store: ParameterStore, image: Tensor, { training }: Mode): Tensor {
  const { spec } = store;
  const name = 'backbone.patch_embed';
  const tokens = patchEmbed(image, store.tensor(`${name}.proj.weight`), store.tensor(`${name}.proj.bias`));
  const { w, b } = spec.patchNorm ? normOf(store, `${name}.norm`) : { w: null, b: null };
  const normed = w && b ? layernorm(tokens, w, b) : tokens;
  const x = reshape(normed, [1, ...normed.shape]);
  return spec.dropRate > 0 ? dropout(x, spec.dropRate, { training }) : x;
}

function runStage(store: ParameterStore, stage: number, input: Tensor, mode: BackboneMode): StageOutput {
  const { spec } = store;
  let x = input;
  for (let index = 0; index < spec.depths[stage]!; index++) {
    x = scope(`blocks.${index}`, () => swinBlock(blockOf(store, stage, index, mode), firstStream(x), mode));
  }
  if (stage < spec.depths.length - 1) x = scope('downsample', () => merge(store, stage, x, mode));
  const streams = x.shape[0]!;
  return {
    shared: firstStream(x),
    tasks: streams > 1 ? slice(x, 0, 1, streams - 1) : null,
  };
}

/** Patch merging with the same weights for every stream: [G, B, H, W, C] to [G, B, H/2, W/2, 2C]. */
function merge(store: ParameterStore, stage: number, x: Tensor, mode: BackboneMode): Tensor {
  const { w, b } = normOf(store, `backbone.layers.${stage}.downsample.norm`);
  const merged = layernorm(mergePatches(x), w, b);
  const reduce = siteLayer(siteOf(store, stage, 0, 'reduction', mode), mode.training);
  const y = reduce(foldStreams(merged));
  return reshape(y, [...merged.shape.slice(0, -1), y.shape.at(-1)!]);
}

/** A block of the model as `swinBlock` takes it. */
function blockOf(store: ParameterStore, stage: number, index: number, mode: BackboneMode): Block {
  const { spec } = store;
  const name = `backbone.layers.${stage}.blocks.${index}`;
  const { window, shift } = blockWindow(spec, stage, index);
  const layer = (site: SiteKind) => siteLayer(siteOf(store, stage, index, site, mode), mode.training);
  return {
    norm1: normOf(store, `${name}.norm1`),
    norm2: normOf(store, `${name}.norm2`),
    biasTable: store.tensor(`${name}.attn.relative_position_bias_table`),
    qkv: layer('qkv'), proj: layer('proj'), fc1: layer('fc1'), fc2: layer('fc2'),
    heads: spec.heads[stage]!, windowSize: window, shift,
    dropPath: spec.dropPath[stage]![index]!, dropRate: spec.dropRate,
  };
}

function siteOf(
  store: ParameterStore, stage: number, block: number, site: SiteKind, mode: BackboneMode,
): Site {
  const linear = linearName(store.spec, stage, block, site);
  return {
    w: store.tensor(`${linear}.weight`),
    bias: store.has(`${linear}.bias`) ? store.tensor(`${linear}.bias`) : null,
    adaptation: adaptationOf(store, stage, block, site, mode),
  };
}

function adaptationOf(
  store: ParameterStore, stage: number, block: number, site: SiteKind,
  { wholeSharedStream = false }: BackboneMode,
): Adaptation | null {
  const adapter = adapterAt(store.spec, stage, block, site);
  if (!adapter || adapter.rank === 0) return null;
  const name = siteName(stage, block, site);
  const branches = loraBranches(store.spec, stage, block, site);
  const [ranks, scales] = [branches.map(({ rank }) => rank), branches.map(({ scale }) => scale)];
  const [a, bt] = [store.tensor(`${name}.lora_A`), store.tensor(`${name}.lora_B`)];
  const common = { mode: adapter.mode, dropout: adapter.dropout };
  if (branches.length > adapter.tasks.length) {
    const scaleName = `${name}.lora_shared_scale`;
    const sharedScale = store.has(scaleName) ? store.tensor(scaleName) : undefined;
    return { ...common, a, bt, ranks, scales: sharedScale ? scales.with(0, 1) : scales, sharedScale };
  }
  if (adapter.mode === 'addition') {
    const norm = normOf(store, `${name}.lora_norm`);
    return { ...common, a, bt, ranks: [0, ...ranks], scales: [1, ...scales], norm };
  }
  // the shared pair that no loss depends on
  if (!wholeSharedStream) return { ...common, a, bt, ranks: [0, ...ranks], scales: [1, ...scales] };
  return {
    ...common, ranks: [adapter.rank, ...ranks], scales: [adapter.scale, ...scales],
    a: concat([store.tensor(`${name}.lora_shared_A`), a], 0),
    bt: concat([store.tensor(`${name}.lora_shared_B`), bt], 0),
  };
}

function normOf(store: ParameterStore, name: string): Norm {
  return { w: store.tensor(`${name}.weight`), b: store.tensor(`${name}.bias`) };
}
