// The heads of the `decoders` files, with the parameters and buffers of a file, as the model runs them.
import type { Shape } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import { asppHead } from '../../mtlora/decoders/aspp.ts';
import { downsample } from '../../mtlora/decoders/downsampler.ts';
import { hrnetHead, hrnetHeads } from '../../mtlora/decoders/hrnet.ts';
import type { Mode, Params } from '../../mtlora/decoders/params.ts';
import { segformerHead } from '../../mtlora/decoders/segformer.ts';
import { updecoderHead } from '../../mtlora/decoders/updecoder.ts';
import { concat } from '../../ops/concat.ts';
import { reshape } from '../../ops/elementwise.ts';
import { resizeBilinear } from '../../ops/resize.ts';
import type { DecoderCase } from './decoders.ts';
import type { Golden } from './golden.ts';
import { CHANNELS_LAST, type Layout } from './layout.ts';
import type { Leaves } from './leaves.ts';

export type Built = {
  readonly forward: (mode: Mode) => Tensor[];
  /** Each output's name behind `upstream` and `<mode>.out`, and its shape on the device. */
  readonly outputs: readonly { readonly name: string; readonly shape: Shape; readonly layout: Layout }[];
};

type Head = (features: readonly Tensor[], params: Params, mode: Mode) => Tensor;
type Build = (given: DecoderCase, golden: Golden, leaves: Leaves) => Built;

export const DECODER_HEADS: Readonly<Record<DecoderCase['head'], Build>> = {
  hrnet: single(hrnetHead),
  segformer: single((features, params, mode) => segformerHead(features, params, mode, { dropout: 0 })),
  aspp: single((features, params, mode) => asppHead(features, params, mode, { dropout: 0 })),
  updecoder: single(updecoderHead),
  downsampler: buildDownsampler,
  group: buildGroup,
};

function single(head: Head): Build {
  return (given, golden, leaves) => {
    const features = featuresOf(given, golden, leaves);
    const params = Object.fromEntries([
      ...golden.below('param.').filter((name) => !given.noGrad.includes(name)).map((name) =>
        [name, leaves.param(name, golden.shape(`param.${name}`))]),
      ...statistics(golden).map((name) => [name, leaves.buffer([name], golden.shape(`buffer.${name}`))]),
    ]) as Params;
    return { forward: (mode) => [head(features, params, mode)], outputs: [image(golden, '')] };
  };
}

function statistics(golden: Golden): string[] {
  return golden.below('buffer.').filter((name) => !name.endsWith('num_batches_tracked'));
}

function image(golden: Golden, name: string): Built['outputs'][number] {
  const [b, c, h, w] = golden.shape(`upstream${name}`) as [number, number, number, number];
  return { name, shape: [b, h, w, c], layout: CHANNELS_LAST };
}

function featuresOf({ channels, sizes, batch }: DecoderCase, golden: Golden, leaves: Leaves): Tensor[] {
  if (!sizes) throw new Error(`${golden.path}: a head's case must give "sizes"`);
  return channels.map((c, i) =>
    leaves.inputs([`x.${i}`], { shape: [batch, ...sizes[i]!, c], layout: CHANNELS_LAST }));
}

function buildDownsampler(
  { channels, dims, resolution, batch }: DecoderCase, golden: Golden, leaves: Leaves,
): Built {
  if (!dims || !resolution) {
    throw new Error(`${golden.path}: a downsampler's case must give "dims" and "resolution"`);
  }
  const features = dims.map((c, i) => leaves.inputs([`x.${i}`], { shape: [batch, ...resolution[i]!, c] }));
  const params = Object.fromEntries(channels.map((out, i) => {
    const name = `downsample_${i}.weight`;
    return [name, leaves.param(name, [out, dims[i]!, 1, 1])];
  }));
  const outputs = channels.map((_, i) => image(golden, `.${i}`));
  return { forward: () => downsample(features, params), outputs };
}

// the model's own way: all tasks' heads at once, their parameters on a task axis
function buildGroup(given: DecoderCase, golden: Golden, leaves: Leaves): Built {
  const { tasks, out_size: outSize } = given;
  if (!tasks || !outSize) throw new Error(`${golden.path}: a group's case must give "tasks" and "out_size"`);
  const names = Object.keys(tasks);
  const features = featuresOf(given, golden, leaves);
  const layer = (suffix: string): string[] => names.map((task) => `decoders.${task}.last_layer.${suffix}`);
  const stacked = (suffix: string, kind: 'param' | 'buffer'): [string, Tensor] => {
    const each = golden.shape(`${kind}.${layer(suffix)[0]}`);
    const shape = [names.length, ...each.filter((extent, axis) => axis < 2 || extent !== 1)];
    const tensor = kind === 'param' ? leaves.stack(layer(suffix), names.map(() => each), shape)
      : leaves.buffer(layer(suffix), shape);
    return [`last_layer.${suffix}`, tensor];
  };
  const params = Object.fromEntries([
    ...['0.weight', '0.bias', '1.weight', '1.bias'].map((suffix) => stacked(suffix, 'param')),
    ...['1.running_mean', '1.running_var'].map((suffix) => stacked(suffix, 'buffer')),
  ]);
  const width = 4 * given.channels.reduce((sum, c) => sum + c, 0);
  const last = names.map((task) => ({
    weight: leaves.param(`decoders.${task}.last_layer.3.weight`, [tasks[task]!, width, 1, 1]),
    bias: leaves.param(`decoders.${task}.last_layer.3.bias`, [tasks[task]!]),
  }));
  return {
    forward: (mode) => {
      const spread = features.map((x) => concat(names.map(() => reshape(x, [1, ...x.shape])), 0));
      return hrnetHeads(spread, params, last, mode).map((y) => resizeBilinear(y, ...outSize));
    },
    outputs: names.map((task) => image(golden, `.${task}`)),
  };
}
