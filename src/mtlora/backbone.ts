import type { Tensor } from '../autograd/tensor.ts';
import { scope } from '../gpu/program.ts';
import { concat, split } from '../ops/concat.ts';
import type { Norm } from '../ops/residual_norm.ts';
import type { Block, Mode } from '../swin/block.ts';
import { embedImage, runStage, type PatchEmbed, type Stage } from '../swin/stage.ts';
import { linearName, siteName } from './names.ts';
import { loraBranches } from './packing.ts';
import { outputOf, siteLayer, type Adaptation, type Site } from './site.ts';
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
  let x = scope('patch_embed', () => embedImage(embedOf(store), image, mode));
  return spec.depths.map((_, stage) => scope(`layers.${stage}`, () => {
    const streams = runStage(stageOf(store, stage, mode), x, mode);
    const count = streams.shape[0]!;
    const [shared, tasks] = count > 1 ? split(streams, 0, [1, count - 1]) : [streams];
    x = shared!;
    return { shared: x, tasks: tasks ?? null };
  }));
}

function embedOf(store: ParameterStore): PatchEmbed {
  const { spec } = store;
  const name = 'backbone.patch_embed';
  return {
    w: store.tensor(`${name}.proj.weight`), b: store.tensor(`${name}.proj.bias`),
    norm: spec.patchNorm ? normOf(store, `${name}.norm`) : null, dropRate: spec.dropRate,
  };
}

function stageOf(store: ParameterStore, stage: number, mode: BackboneMode): Stage {
  const { depths } = store.spec;
  return {
    blocks: Array.from({ length: depths[stage]! }, (_, index) => blockOf(store, stage, index, mode)),
    downsample: stage === depths.length - 1 ? null : {
      norm: normOf(store, `backbone.layers.${stage}.downsample.norm`),
      reduction: siteLayer(siteOf(store, stage, 0, 'reduction', mode), mode.training),
    },
  };
}

/** A block of the model as `swinBlock` takes it. */
function blockOf(store: ParameterStore, stage: number, index: number, mode: BackboneMode): Block {
  const { spec } = store;
  const name = `backbone.layers.${stage}.blocks.${index}`;
  const { window, shift } = blockWindow(spec, stage, index);
  const layer = (site: SiteKind) => siteLayer(siteOf(store, stage, index, site, mode), mode.training);
  const fc1 = siteOf(store, stage, index, 'fc1', mode);
  return {
    norm1: normOf(store, `${name}.norm1`),
    attn: {
      qkv: layer('qkv'), proj: layer('proj'),
      biasTable: store.tensor(`${name}.attn.relative_position_bias_table`),
      heads: spec.heads[stage]!, windowSize: window, shift,
    },
    norm2: normOf(store, `${name}.norm2`),
    mlp: { fc1: siteLayer(fc1, mode.training), fc2: layer('fc2'), hidden: outputOf(fc1) },
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
  if (branches.length === 0) return null;
  const { mode, dropout, rank, scale, trainableTaskScale } = adapter;
  const tasks = branches.filter(({ task }) => task !== null);
  const [a, bt] = [store.tensor(`${name}.lora_A`), store.tensor(`${name}.lora_B`)];
  // the shared pair that no loss depends on, if a merge has not left it out
  const dead = wholeSharedStream && tasks.length === branches.length && adapter.shared;
  const shared = dead || tasks.length < branches.length;
  const sharedScale = shared && adapter.trainableScale
    ? store.tensor(`${name}.lora_shared_scale`) : undefined;
  const taskScales = trainableTaskScale && tasks.length > 0
    ? tasks.map(({ task }) => store.tensor(`${name}.lora_task_scale.${task}`)) : undefined;
  return {
    mode, dropout, sharedScale, taskScales,
    a: dead ? concat([store.tensor(`${name}.lora_shared_A`), a], 0) : a,
    bt: dead ? concat([store.tensor(`${name}.lora_shared_B`), bt], 0) : bt,
    ranks: [shared ? rank : 0, ...tasks.map((task) => task.rank)],
    scales: [shared && !sharedScale ? scale : 1, ...tasks.map((task) => taskScales ? 1 : task.scale)],
    norm: mode === 'addition' ? normOf(store, `${name}.lora_norm`) : undefined,
  };
}

function normOf(store: ParameterStore, name: string): Norm {
  return { w: store.tensor(`${name}.weight`), b: store.tensor(`${name}.bias`) };
}
