import { size } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import { scope, tracing } from '../../gpu/program.ts';
import { ELEMENT_BYTES } from '../../gpu/storage.ts';
import { concat, slice, split, writeSlice } from '../../ops/concat.ts';
import { reshape } from '../../ops/elementwise.ts';
import type { StageOutput } from '../backbone.ts';
import type { Head, Task } from '../spec.ts';
import type { ParameterStore } from '../store.ts';
import { asppHead } from './aspp.ts';
import { downsample } from './downsampler.ts';
import { hrnetHeads } from './hrnet.ts';
import type { Mode, Params } from './params.ts';
import { segformerHead } from './segformer.ts';
import { updecoderHead } from './updecoder.ts';

type HeadFunction = (features: readonly Tensor[], params: Params, mode: Mode) => Tensor;

/** The heads that run one task at a time; HRNet's run together. */
const SINGLE_HEADS: Record<Exclude<Head, 'hrnet'>, HeadFunction> = {
  segformer: segformerHead, aspp: asppHead, updecoder: updecoderHead,
};

/**
 * Each task's head on its streams of all stages; a stage without task streams gives all tasks its shared one.
 *
 * @returns of each task [B, h, w, n] at the size of the first feature map, in the order of the tasks
 */
export function decode(store: ParameterStore, stages: readonly StageOutput[], mode: Mode): Map<Task, Tensor> {
  const { tasks } = store.spec;
  const features = narrow(store, stages);
  const found = new Map<Task, Tensor>();
  const together = tasks.flatMap(({ head }, t) => head === 'hrnet' ? [t] : []);
  if (together.length > 0) {
    const picked = scope('hrnet', () => pick(features, together, tasks.length));
    const outputs = scope('hrnet', () => runHrnet(store, picked, together, mode));
    together.forEach((t, i) => found.set(tasks[t]!.name, outputs[i]!));
  }
  tasks.forEach(({ name, head }, t) => {
    if (head === 'hrnet') return;
    const run = SINGLE_HEADS[head];
    const own = features.map((x) => {
      const one = slice(x, 0, t, 1);
      return reshape(one, one.shape.slice(1));
    });
    const params = paramsBelow(store, `decoders.decoders.${name}.`);
    found.set(name, scope(`${head} ${name}`, () => run(own, params, mode)));
  });
  return new Map(tasks.map(({ name }) => [name, found.get(name)!]));
}

/** The features of all tasks at the decoder's channels, [T, B, h_i, w_i, d_i]. */
function narrow(store: ParameterStore, stages: readonly StageOutput[]): Tensor[] {
  const { decoder, tasks } = store.spec;
  const spread = (x: Tensor): Tensor => x.shape[0] === tasks.length ? x : concat(tasks.map(() => x), 0);
  const features = stages.map(({ tasks: own, shared }) => own ?? shared);
  if (decoder.downsampler === 'none') return features.map(spread);
  const params = paramsBelow(store, 'downsampler.');
  return scope('downsampler', () => decoder.downsampler === 'shared'
    ? downsample(features, params).map(spread)
    : downsample(features.map(spread), params));
}

/** The heads of as many tasks at once as their hidden map can be given to a kernel. */
function runHrnet(
  store: ParameterStore, features: readonly Tensor[], tasks: readonly number[], mode: Mode,
): Tensor[] {
  const params = paramsBelow(store, 'decoders.hrnet.');
  const [first] = features as [Tensor];
  const channels = params['last_layer.0.weight']!.shape[1]!;
  const bytes = ELEMENT_BYTES[first.dtype] * channels * size(first.shape.slice(1, -1));
  const limit = tracing('hrnet').gpu.limits.maxStorageBufferBindingSize;
  const most = Math.max(1, Math.floor(limit / bytes));
  if (most >= tasks.length) return headsOf(store, features, tasks, params, mode);

  const groups = Array.from({ length: Math.ceil(tasks.length / most) }, (_, i) =>
    tasks.slice(i * most, (i + 1) * most));
  const cut = (x: Tensor): Tensor[] => split(x, 0, groups.map(({ length }) => length));
  const [maps, own] = [features.map(cut), Object.entries(params).map(([name, x]) => [name, cut(x)] as const)];
  return groups.flatMap((group, i) => scope(`tasks.${i}`, () => {
    const some = Object.fromEntries(own.map(([name, parts]) => [name, parts[i]!]));
    const outputs = headsOf(store, maps.map((parts) => parts[i]!), group, some, mode);
    for (const name of ['last_layer.1.running_mean', 'last_layer.1.running_var']) {
      if (mode.training) writeSlice(some[name]!, params[name]!, 0, i * most);   // what it moved of a copy
    }
    return outputs;
  }));
}

function headsOf(
  store: ParameterStore, features: readonly Tensor[], tasks: readonly number[], params: Params, mode: Mode,
): Tensor[] {
  const last = tasks.map((t) => {
    const name = `decoders.decoders.${store.spec.tasks[t]!.name}.last_layer.3`;
    return { weight: store.tensor(`${name}.weight`), bias: store.tensor(`${name}.bias`) };
  });
  return hrnetHeads(features, params, last, mode);
}

/** The entries of the first axis that `tasks` names. */
function pick(features: readonly Tensor[], tasks: readonly number[], count: number): Tensor[] {
  if (tasks.length === count) return [...features];
  return features.map((x) => concat(tasks.map((t) => slice(x, 0, t, 1)), 0));
}

function paramsBelow(store: ParameterStore, prefix: string): Params {
  const below = store.packs.filter(({ name }) => name.startsWith(prefix));
  return Object.fromEntries(below.map(({ name }) => [name.slice(prefix.length), store.tensor(name)]));
}
