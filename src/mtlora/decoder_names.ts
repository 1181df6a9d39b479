// Tensors of the downsamplers and of the four kinds of decoder head.
import { batchNorm, conv, param, uniformOver } from './entry.ts';
import type { Entry } from './entry.ts';
import { featureShape } from './spec.ts';
import type { ModelSpec, TaskSpec } from './spec.ts';

const ASPP_CHANNELS = 256;
const UPDECODER_CHANNELS = 32;

/** 1×1 convolutions from a stage's channels to the decoder's, one per stage, no bias. */
function downsampler(spec: ModelSpec, name: string): Entry[] {
  return spec.decoder.channels.flatMap((channels, stage) =>
    conv(`${name}.downsample_${stage}`, channels, featureShape(spec, stage).channels, 1, false));
}

function hrnet(name: string, input: number, outputs: number): Entry[] {
  return [
    ...conv(`${name}.last_layer.0`, 4 * input, input, 1, true),
    ...batchNorm(`${name}.last_layer.1`, 4 * input),
    ...conv(`${name}.last_layer.3`, outputs, 4 * input, 1, true),
  ];
}

/** `conv_seg` is never used; it stands in the release's checkpoints and counts. */
function segformer(name: string, inputs: readonly number[], width: number, outputs: number): Entry[] {
  const levels = [...inputs.entries()].reverse();
  return [
    ...conv(`${name}.conv_seg`, outputs, width, 1, true),
    ...levels.flatMap(([level, input]) => conv(`${name}.linear_c${level + 1}.proj`, width, input, 0, true)),
    param(`${name}.linear_fuse.conv.weight`, [width, inputs.length * width, 1, 1],
      { kind: 'normal', std: Math.sqrt(2 / width), cut: Infinity }),
    ...batchNorm(`${name}.linear_fuse.bn`, width),
    ...conv(`${name}.linear_pred`, outputs, width, 1, true),
  ];
}

function aspp(name: string, input: number, outputs: number): Entry[] {
  const branches = [1, 3, 3, 3].flatMap((side, branch) => [
    ...conv(`${name}.0.convs.${branch}.0`, ASPP_CHANNELS, input, side, false),
    ...batchNorm(`${name}.0.convs.${branch}.1`, ASPP_CHANNELS),
  ]);
  return [
    ...branches,
    // The pooled branch: its pooling is module 0.
    ...conv(`${name}.0.convs.4.1`, ASPP_CHANNELS, input, 1, false),
    ...batchNorm(`${name}.0.convs.4.2`, ASPP_CHANNELS),
    ...conv(`${name}.0.project.0`, ASPP_CHANNELS, 5 * ASPP_CHANNELS, 1, false),
    ...batchNorm(`${name}.0.project.1`, ASPP_CHANNELS),
    ...conv(`${name}.1`, ASPP_CHANNELS, ASPP_CHANNELS, 3, false),
    ...batchNorm(`${name}.2`, ASPP_CHANNELS),
    ...conv(`${name}.4`, outputs, ASPP_CHANNELS, 1, true),
  ];
}

function updecoder(name: string, input: number, outputs: number): Entry[] {
  const upward = [input, UPDECODER_CHANNELS, UPDECODER_CHANNELS].flatMap((channels, i) => [
    // A transposed convolution is stored [in, out, 2, 2]; PyTorch takes its second axis for the inputs.
    param(`${name}.deconv_layers.${3 * i}.weight`, [channels, UPDECODER_CHANNELS, 2, 2],
      uniformOver(4 * UPDECODER_CHANNELS)),
    ...batchNorm(`${name}.deconv_layers.${3 * i + 1}`, UPDECODER_CHANNELS),
  ]);
  return [
    ...upward,
    ...conv(`${name}.conv_layers.0`, outputs, UPDECODER_CHANNELS, 3, true),
    ...batchNorm(`${name}.conv_layers.1`, outputs),
  ];
}

function head(spec: ModelSpec, { name, outputs, head: kind }: TaskSpec): Entry[] {
  const { channels, segformerChannels } = spec.decoder;
  const prefix = `decoders.decoders.${name}`;
  const concatenated = channels.reduce((sum, width) => sum + width, 0);
  switch (kind) {
    case 'hrnet': return hrnet(prefix, concatenated, outputs);
    case 'segformer': return segformer(prefix, channels, segformerChannels, outputs);
    case 'aspp': return aspp(prefix, concatenated, outputs);
    case 'updecoder': return updecoder(prefix, concatenated, outputs);
  }
}

export function decoderEntries(spec: ModelSpec): Entry[] {
  const kind = spec.decoder.downsampler;
  const reduce = kind === 'none' ? []
    : kind === 'shared' ? downsampler(spec, 'downsampler')
      : spec.tasks.flatMap(({ name }) => downsampler(spec, `downsampler.${name}`));
  return [...reduce, ...spec.tasks.flatMap((task) => head(spec, task))];
}
