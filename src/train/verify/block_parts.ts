// The parts of a Swin stage as a case of the `blocks` files describes them, with the parameters of its file.
import { outputOf, siteLayer, type Site } from '../../mtlora/site.ts';
import type { Attention, Block, Layer, Mlp } from '../../swin/block.ts';
import type { Norm } from '../../ops/residual_norm.ts';
import type { PatchMerging } from '../../swin/stage.ts';
import { blockShift, fitWindow } from '../../swin/window.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import type { Golden } from './golden.ts';
import type { Leaves } from './leaves.ts';
import { goldenSite, streamTasks, type GoldenLora, type SiteShape } from './sites.ts';

type Switches = Readonly<Record<
  'QKV_ENABLED' | 'PROJ_ENABLED' | 'FC1_ENABLED' | 'FC2_ENABLED' | 'DOWNSAMPLER_ENABLED'
  | 'INTERMEDIATE_SPECIALIZATION' | 'TRAINABLE_SCALE_SHARED' | 'TRAINABLE_SCALE_PER_TASK', boolean>>;

export type Making = {
  readonly leaves: Leaves;
  readonly golden: Golden;
  readonly switches: Switches;
  readonly lora: GoldenLora;
  /** Task branches in proj, fc1 and fc2. */
  readonly specialized: boolean;
};

export type BlockSizes = {
  readonly dim: number;
  readonly height: number;
  readonly width: number;
  readonly heads: number;
  readonly windowSize: number;
  readonly shift: number;
  readonly mlpRatio: number;
  readonly qkvBias: boolean;
};

export function normOf({ leaves }: Making, name: string, channels: number): Norm {
  return { w: leaves.param(`${name}.weight`, [channels]), b: leaves.param(`${name}.bias`, [channels]) };
}

function siteOf(
  { leaves, lora }: Making, name: string, enabled: boolean, specialized: boolean, shape: SiteShape,
): Site {
  const own = specialized ? lora : { ...lora, tasks: [] };
  return goldenSite(leaves, name, shape, enabled ? own : null);
}

function layerOf(...site: Parameters<typeof siteOf>): Layer {
  return siteLayer(siteOf(...site), true);
}

export function attentionOf(
  making: Making, prefix: string, { dim, heads, qkvBias }: Pick<BlockSizes, 'dim' | 'heads' | 'qkvBias'>,
  windows: { window: number; shift: number },
): Attention {
  const { QKV_ENABLED, PROJ_ENABLED } = making.switches;
  const table = [(2 * windows.window - 1) ** 2, heads];
  return {
    qkv: layerOf(making, `${prefix}qkv`, QKV_ENABLED, false, { out: 3 * dim, input: dim, bias: qkvBias }),
    proj: layerOf(making, `${prefix}proj`, PROJ_ENABLED, making.specialized,
      { out: dim, input: dim, bias: true }),
    biasTable: making.leaves.param(`${prefix}relative_position_bias_table`, table),
    heads, windowSize: windows.window, shift: windows.shift,
  };
}

export function mlpOf(making: Making, prefix: string, dim: number, hidden: number): Mlp {
  const { FC1_ENABLED, FC2_ENABLED } = making.switches;
  const site = (name: string, enabled: boolean, out: number, input: number): Site =>
    siteOf(making, `${prefix}${name}`, enabled, making.specialized, { out, input, bias: true });
  const [fc1, fc2] = [site('fc1', FC1_ENABLED, hidden, dim), site('fc2', FC2_ENABLED, dim, hidden)];
  return { fc1: siteLayer(fc1, true), fc2: siteLayer(fc2, true), hidden: outputOf(fc1) };
}

/**
 * Gives each block its drop path masks `in.drop_path_mask.<k>` [B, 1, 1], which are numbered in call order.
 */
export class DropPathMasks {
  readonly #making: Making;
  readonly #batch: number;
  #next = 0;

  constructor(making: Making, batch: number) {
    this.#making = making;
    this.#batch = batch;
  }

  /** Masks [G, B] of a block's two branches: in the file the tasks' come first, then the shared stream's. */
  take({ lora, switches, specialized }: Making): readonly [Tensor, Tensor] {
    const tasks = specialized ? streamTasks(lora).length : 0;
    return [this.#branch(switches.PROJ_ENABLED ? tasks : 0), this.#branch(switches.FC2_ENABLED ? tasks : 0)];
  }

  #branch(tasks: number): Tensor {
    const first = this.#next;
    this.#next += tasks + 1;
    const order = [tasks, ...Array.from({ length: tasks }, (_, t) => t)];
    const names = order.map((k) => `in.drop_path_mask.${first + k}`);
    return this.#making.leaves.constant(names, { shape: [tasks + 1, this.#batch] });
  }
}

export function blockOf(
  making: Making, prefix: string, sizes: BlockSizes, dropPath: { rate: number; masks: DropPathMasks },
): Block {
  const { dim, height, width, windowSize, shift, mlpRatio } = sizes;
  return {
    norm1: normOf(making, `${prefix}norm1`, dim),
    attn: attentionOf(making, `${prefix}attn.`, sizes, fitWindow(height, width, windowSize, shift)),
    norm2: normOf(making, `${prefix}norm2`, dim),
    mlp: mlpOf(making, `${prefix}mlp.`, dim, Math.floor(dim * mlpRatio)),
    dropPath: dropPath.rate, dropRate: 0,
    dropPathMasks: dropPath.rate > 0 ? dropPath.masks.take(making) : undefined,
  };
}

export function mergingOf(making: Making, prefix: string, dim: number): PatchMerging {
  const shape = { out: 2 * dim, input: 4 * dim, bias: false };
  return {
    norm: normOf(making, `${prefix}norm`, 4 * dim),
    reduction: layerOf(making, `${prefix}reduction`, making.switches.DOWNSAMPLER_ENABLED, false, shape),
  };
}

/** The blocks of a stage; the last one makes the task streams, or all do. */
export function stageBlocks(
  making: Making, depth: number, sizes: Omit<BlockSizes, 'shift'>, rates: readonly number[], batch: number,
): Block[] {
  const masks = new DropPathMasks(making, batch);
  return Array.from({ length: depth }, (_, i) => {
    const specialized = i === depth - 1 || making.switches.INTERMEDIATE_SPECIALIZATION;
    const shift = blockShift(i, sizes.windowSize);
    const dropPath = { rate: rates[i]!, masks };
    return blockOf({ ...making, specialized }, `blocks.${i}.`, { ...sizes, shift }, dropPath);
  });
}
