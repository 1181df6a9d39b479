import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { size, type Shape } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import type { Gpu } from '../../gpu/device.ts';
import { attention, mlp, swinBlock } from '../../swin/block.ts';
import { embedImage, mergeStreams, runStage } from '../../swin/stage.ts';
import { positionIndex, shiftMask } from '../../swin/window_buffers.ts';
import { BLOCK_CASE, type BlockCase, type CaseOf } from './block_cases.ts';
import {
  attentionOf, blockOf, DropPathMasks, mergingOf, mlpOf, normOf, stageBlocks, type Making,
} from './block_parts.ts';
import { eachCase, readGolden, type Golden } from './golden.ts';
import { rowsAt, type Layout } from './layout.ts';
import { checkGradients, checkOutputs, Leaves } from './leaves.ts';
import { compare, compareList, type Check } from './report.ts';
import { streamTasks } from './sites.ts';

/** Relative L2 error that the README of these files allows. */
const BOUND = 2e-5;
const TRAINING = { training: true };

/** What a case runs: streams [G, ...] from inputs [1 or G, ...]. */
type Built = {
  /** One stream's input on the device. */
  readonly input: Shape;
  readonly forward: (x: Tensor) => Tensor;
  /** One stream's output on the device. */
  readonly output: Shape;
  readonly layout?: Layout;
};

/** Holds Swin's parts, forward and every gradient, to the cases of a folder, and its constant tables. */
export async function verifyBlocks(gpu: Gpu, folder: string): Promise<Check[]> {
  const checks = await eachCase(folder, BLOCK_CASE, (given) =>
    verifyCase(gpu, given, readGolden(folder, given.name)));
  return existsSync(join(folder, 'tables.safetensors')) ? [...checks, ...verifyTables(folder)] : checks;
}

export function isBlockCase(value: object): boolean {
  return 'ctor' in value && 'kind' in value;
}

async function verifyCase(gpu: Gpu, given: BlockCase, golden: Golden): Promise<Check[]> {
  const leaves = new Leaves(gpu, golden);
  try {
    const making = makingOf(given, leaves, golden);
    const built = build(given, making);
    leaves.expectAllTaken(given.noGrad);
    const own = given.xTasks ? streamTasks(making.lora) : [];
    const inputs = ['x', ...own.map((task) => `x_tasks.${task}`)];
    const outputs = ['out', ...(given.returnedTasks ?? []).map((task) => `out_tasks.${task}`)];
    const { layout } = built;
    const x = leaves.inputs(inputs, { shape: [...streamAxis(given, inputs.length), ...built.input], layout });
    const upstream = leaves.constant(outputs.map((name) => `upstream.${name}`), {
      shape: [outputs.length, ...built.output], layout,
    });
    const { outputs: [y], gradients } = await leaves.run(() => {
      const out = built.forward(x);
      return { outputs: [out], seeds: [[out, upstream]] };
    });
    return [
      ...checkMask(given, golden),
      ...checkOutputs(given.name, golden, y!, outputs, BOUND, layout),
      ...checkGradients(given.name, golden, gradients, BOUND),
    ];
  } finally {
    leaves.release();
  }
}

// an image has no stream axis yet
function streamAxis({ kind }: BlockCase, streams: number): number[] {
  return kind === 'PatchEmbed' ? [] : [streams];
}

function makingOf(given: BlockCase, leaves: Leaves, golden: Golden): Making {
  const { mtloraFlags: switches, sharedMode: mode, ranks, sharedScale, taskScale } = given;
  const { TRAINABLE_SCALE_SHARED: shared, TRAINABLE_SCALE_PER_TASK: tasks } = switches;
  const trainableScale = { shared, tasks };
  return {
    leaves, golden, switches, specialized: given.lora || switches.INTERMEDIATE_SPECIALIZATION,
    lora: { mode, tasks: given.tasks ?? [], ranks, sharedScale, taskScale, trainableScale },
  };
}

function build(given: BlockCase, making: Making): Built {
  switch (given.kind) {
    case 'PatchEmbed': return buildEmbed(given, making);
    case 'PatchMerging': return buildMerging(given, making);
    case 'Mlp': return buildMlp(given, making);
    case 'WindowAttention': return buildAttention(given, making);
    case 'SwinTransformerBlock': return buildBlock(given, making);
    case 'BasicLayer': return buildStage(given, making);
  }
}

function buildEmbed({ ctor, xShape }: CaseOf<'PatchEmbed'>, making: Making): Built {
  const { patch_size: p, in_chans: channels, embed_dim: dim, img_size: [height, width] } = ctor;
  const parts = {
    w: making.leaves.param('proj.weight', [dim, channels, p, p]), b: making.leaves.param('proj.bias', [dim]),
    norm: ctor.norm ? normOf(making, 'norm', dim) : null, dropRate: 0,
  };
  const input = [xShape[0]!, channels, height, width];
  return {
    input, output: [xShape[0]!, height / p, width / p, dim],
    forward: (image) => embedImage(parts, image, TRAINING),
  };
}

function buildMerging(
  { ctor: { input_resolution, dim }, xShape }: CaseOf<'PatchMerging'>, making: Making,
): Built {
  const [height, width] = input_resolution;
  const parts = mergingOf(making, '', dim);
  return {
    input: [xShape[0]!, height, width, dim], output: [xShape[0]!, height / 2, width / 2, 2 * dim],
    forward: (x) => mergeStreams(parts, x),
  };
}

function buildMlp(
  { ctor: { in_features: dim, hidden_features }, xShape }: CaseOf<'Mlp'>, making: Making,
): Built {
  const parts = mlpOf(making, '', dim, hidden_features);
  return { input: xShape, output: xShape, forward: (x) => mlp(parts, x) };
}

// the file's windows, cut out already, lie on the map that they came from: that of the mask, or one of their
// own
function buildAttention({ ctor, xShape, mask, name }: CaseOf<'WindowAttention'>, making: Making): Built {
  const [window, across] = ctor.window_size;
  if (window !== across) throw new Error(`${name}: windows must be square, got [${window}, ${across}]`);
  const { resolution: [height, width], shift } = mask ?? { resolution: [window, window], shift: 0 };
  const { dim, num_heads: heads, qkv_bias: qkvBias } = ctor;
  const parts = attentionOf(making, '', { dim, heads, qkvBias }, { window, shift });
  const shape = [size(xShape) / dim / height / width, height, width, dim];
  return {
    input: shape, output: shape, forward: (x) => attention(parts, x),
    layout: rowsAt(windowPlaces(size(xShape) / dim, { height, width, window, shift })),
  };
}

type Windows = { height: number; width: number; window: number; shift: number };

/** Where token `row` of windows [images · windows, M², C] lies on maps [images, H, W, C]. */
function windowPlaces(rows: number, { height, width, window, shift }: Windows): number[] {
  const across = width / window;
  const perImage = across * height / window;
  return Array.from({ length: rows }, (_, row) => {
    const [index, token] = [Math.floor(row / window ** 2), row % window ** 2];
    const [image, at] = [Math.floor(index / perImage), index % perImage];
    const y = (Math.floor(at / across) * window + Math.floor(token / window) + shift) % height;
    const x = (at % across * window + token % window + shift) % width;
    return (image * height + y) * width + x;
  });
}

function buildBlock({ ctor, xShape }: CaseOf<'SwinTransformerBlock'>, making: Making): Built {
  const [height, width] = ctor.input_resolution;
  const sizes = {
    dim: ctor.dim, height, width, heads: ctor.num_heads, windowSize: ctor.window_size, shift: ctor.shift_size,
    mlpRatio: ctor.mlp_ratio, qkvBias: ctor.qkv_bias,
  };
  const batch = xShape[0]!;
  const block = blockOf(making, '', sizes, { rate: ctor.drop_path, masks: new DropPathMasks(making, batch) });
  const shape = [batch, height, width, ctor.dim];
  return { input: shape, output: shape, forward: (x) => swinBlock(block, x, TRAINING) };
}

function buildStage({ ctor, xShape }: CaseOf<'BasicLayer'>, making: Making): Built {
  const { dim, depth, input_resolution: [height, width], drop_path } = ctor;
  const sizes = {
    dim, height, width, heads: ctor.num_heads, windowSize: ctor.window_size,
    mlpRatio: ctor.mlp_ratio, qkvBias: ctor.qkv_bias,
  };
  const batch = xShape[0]!;
  const rates = Array.from({ length: depth }, (_, i) =>
    typeof drop_path === 'number' ? drop_path : drop_path[i] ?? 0);
  const stage = {
    blocks: stageBlocks(making, depth, sizes, rates, batch),
    downsample: ctor.downsample ? mergingOf(making, 'downsample.', dim) : null,
  };
  const half = [batch, height / 2, width / 2, 2 * dim];
  const shape = [batch, height, width, dim];
  const output = ctor.downsample ? half : shape;
  return { input: shape, output, forward: (x) => runStage(stage, x, TRAINING) };
}

function checkMask({ name, mask }: BlockCase, golden: Golden): Check[] {
  if (!golden.has('in.mask')) return [];
  if (!mask) throw new Error(`${name}: a tensor "in.mask" wants a field "mask" that says of which map it is`);
  const { resolution: [height, width], window, shift } = mask;
  return [compare(`${name} in.mask`, shiftMask(height, window, shift, width), golden.values('in.mask'), 0)];
}

/** `relative_position_index.w<M>` and `attn_mask.r<H>x<W>_w<M>_s<shift>`. */
function verifyTables(folder: string): Check[] {
  const golden = readGolden(folder, 'tables');
  return golden.names.map((name) => {
    const index = /^relative_position_index\.w(\d+)$/.exec(name);
    if (index) {
      const want = [...golden.tensor(name).data].map(BigInt);
      return compareList(`tables ${name}`, [...positionIndex(Number(index[1]))], want);
    }
    const mask = /^attn_mask\.r(\d+)x(\d+)_w(\d+)_s(\d+)$/.exec(name);
    if (!mask) throw new Error(`${golden.path}: no table "${name}" is known`);
    const [height, width, window, shift] = mask.slice(1).map(Number) as [number, number, number, number];
    return compare(`tables ${name}`, shiftMask(height, window, shift, width), golden.values(name), 0);
  });
}
