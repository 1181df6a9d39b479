// What PyTorch's autograd keeps from forward to backward of the eager release, from each op's saved tensors.
//
// Rules of autograd that matter: a product saves an input only for a factor that is trained, so a frozen
// linear saves nothing; dropout saves its mask (a float on the CPU, a byte on CUDA); GELU and LayerNorm save
// their input, softmax and ReLU their output; views and sums save nothing; a batched product saves its
// operands as contiguous copies.
import {
  adapterAt, blockWindow, featureShape, isSpecialized, stageChannels, stageSide, type ModelSpec, type Site,
} from '../../src/mtlora/spec.ts';
import { sum } from './stats.ts';

/** Bytes that a step of `batch` images keeps, with `maskBytes` an element of a dropout mask. */
export function savedByAutograd(spec: ModelSpec, batch: number, { maskBytes = 4 } = {}): number {
  const stages = spec.depths.map((_, stage) => stageFloats(spec, stage, maskBytes / 4));
  return 4 * batch * (embedFloats(spec) + sum(stages) + sum(spec.tasks.map((_, t) => taskFloats(spec, t))));
}

function embedFloats({ imgSize, inChannels, patchSize, embedDim }: ModelSpec): number {
  const tokens = (imgSize / patchSize) ** 2;
  return inChannels * imgSize ** 2 + tokens * (embedDim + 2);
}

function stageFloats(spec: ModelSpec, stage: number, mask: number): number {
  const tokens = stageSide(spec, stage) ** 2;
  const channels = stageChannels(spec, stage);
  const blocks = Array.from({ length: spec.depths[stage]! }, (_, block) =>
    tokens * blockFloats(spec, stage, block, mask));
  const last = spec.depths.length - 1;
  const streams = 1 + (isSpecialized(spec, stage, spec.depths[stage]! - 1) ? spec.tasks.length : 0);
  // the norm's input and the trained reduction's, both as wide as the map
  const merging = stage < last ? streams * tokens * (2 * channels + 2 / 4) : 0;
  return sum(blocks) + merging;
}

/** A token of a block: norms, attention, the four adapted layers, GELU, and what task streams add. */
function blockFloats(spec: ModelSpec, stage: number, block: number, mask: number): number {
  const channels = stageChannels(spec, stage);
  const hidden = spec.mlpRatio * channels;
  const { window } = blockWindow(spec, stage, block);
  const site = (kind: Site, width: number): number => {
    const adapter = adapterAt(spec, stage, block, kind);
    return adapter && adapter.rank > 0 ? width * (1 + (adapter.dropout > 0 ? mask : 0)) + adapter.rank : 0;
  };
  const attention = 3 * channels + window ** 2 * spec.heads[stage]!;
  const shared = 2 * (channels + 2) + attention + hidden
    + site('qkv', channels) + site('proj', channels) + site('fc1', channels) + site('fc2', hidden);
  if (!isSpecialized(spec, stage, block)) return shared;
  const tasks = spec.tasks.map(({ name }) => {
    const rank = spec.lora?.stages[stage]!.taskRank[name] ?? 0;
    // norm2's input and output, fc1's output as GELU's input and GELU's output as fc2's, and three products
    return 2 * channels + 2 + 2 * hidden + 3 * rank;
  });
  return shared + sum(tasks);
}

/** A task's downsampler, HRNet head and loss. */
function taskFloats(spec: ModelSpec, t: number): number {
  const { name, outputs } = spec.tasks[t]!;
  const shapes = spec.depths.map((_, stage) => featureShape(spec, stage));
  const features = sum(shapes.map(({ channels, side }) => channels * side ** 2));
  const wide = sum(spec.decoder.channels);
  const head = shapes[0]!.side ** 2 * (wide + 2 * 4 * wide); // joined, into the norm, out of ReLU
  const pixels = spec.imgSize ** 2;
  const classes = name === 'semseg' || name === 'human_parts';
  const loss = classes ? outputs + 2 : name === 'normals' ? 3 * outputs + 2 : 4;
  return features + head + pixels * loss;
}
