import { expect, test } from 'vitest';
import { expectClose } from '../../../src/autograd/gradcheck.ts';
import { evaluate } from '../../../src/autograd/run.ts';
import { backward } from '../../../src/autograd/tape.ts';
import { lasting, release, type Tensor } from '../../../src/autograd/tensor.ts';
import { asppHead } from '../../../src/mtlora/decoders/aspp.ts';
import { hrnetHead } from '../../../src/mtlora/decoders/hrnet.ts';
import { decode } from '../../../src/mtlora/decoders/index.ts';
import { segformerHead } from '../../../src/mtlora/decoders/segformer.ts';
import { updecoderHead } from '../../../src/mtlora/decoders/updecoder.ts';
import { laidOut, takenOut } from '../../../src/mtlora/packing.ts';
import type { Head, ModelSpec, Task } from '../../../src/mtlora/spec.ts';
import { ParameterStore } from '../../../src/mtlora/store.ts';
import { slice } from '../../../src/ops/concat.ts';
import { reshape } from '../../../src/ops/elementwise.ts';
import { linear } from '../../../src/ops/matmul.ts';
import { modelSpec } from '../../../src/train/config.ts';
import { useGpu } from '../../support/gpu.ts';
import { randomState, tinyConfig } from '../../support/tiny_model.ts';

const gpu = useGpu();
const HEADS = { hrnet: hrnetHead, segformer: segformerHead, aspp: asppHead, updecoder: updecoderHead };
const SIDES = [4, 2, 1, 1];
const EVAL = { training: false };

/** A tiny model whose tasks have the given heads. */
function specWith(heads: Partial<Record<Task, Head>>): ModelSpec {
  const names = Object.keys(heads) as Task[];
  const spec = modelSpec(tinyConfig({}, names));
  return { ...spec, tasks: spec.tasks.map((task) => ({ ...task, head: heads[task.name]! })) };
}

for (const heads of [
  { semseg: 'hrnet', normals: 'hrnet' },
  { semseg: 'hrnet', normals: 'segformer', sal: 'hrnet', edge: 'updecoder' },
  { semseg: 'aspp', normals: 'updecoder' },
] as const) {
  test(`decode() runs each task's head on its own features: ${Object.values(heads).join(', ')}`, async () => {
    const spec = specWith(heads);
    const state = randomState(spec);
    const store = new ParameterStore(gpu(), spec);
    store.load(state);
    const made: Tensor[] = [];
    const place = (shape: readonly number[], data: ArrayLike<number>): Tensor => {
      made.push(lasting(gpu(), 'made', shape, data));
      return made.at(-1)!;
    };
    const parameter = (name: string): Tensor => {
      const { shape, data } = state.get(name)!;
      return place(shape, data as Float32Array);
    };
    const count = spec.tasks.length;
    const stages = SIDES.map((side, i) => {
      const shape = [count, 2, side, side, spec.embedDim * 2 ** Math.min(i + 1, 3)];
      const size = shape.reduce((a, b) => a * b);
      const tasks = place(shape, Float32Array.from({ length: size }, (_, k) => Math.sin(k * k + i)));
      return { shared: tasks, tasks };
    });
    const alone = spec.tasks.map(({ name, head }, t) => {
      const prefix = `decoders.decoders.${name}.`;
      const params = Object.fromEntries([...state.keys()]
        .filter((key) => key.startsWith(prefix) && !key.endsWith('num_batches_tracked'))
        .map((key) => [key.slice(prefix.length), parameter(key)]));
      const narrow = SIDES.map((_, i) => parameter(`downsampler.${name}.downsample_${i}.weight`));
      return (): Tensor => HEADS[head](stages.map(({ tasks }, i) => {
        const w = narrow[i]!;
        const own = slice(tasks, 0, t, 1);
        return linear(reshape(own, own.shape.slice(1)), reshape(w, w.shape.slice(0, 2)), null);
      }), params, EVAL);
    });
    const found = await evaluate(gpu(), () =>
      [...decode(store, stages, EVAL).values(), ...alone.map((run) => run())]);
    spec.tasks.forEach(({ name }, t) => expectClose(name, found[t]!, found[count + t]!, 1e-5));
    store.destroy();
    for (const tensor of made) release(gpu(), tensor);
  });
}

test('decode() hands a gradient to every parameter but those that the release never uses', async () => {
  const spec = specWith({ semseg: 'hrnet', normals: 'segformer', sal: 'aspp', edge: 'updecoder' });
  const store = new ParameterStore(gpu(), spec);
  store.load(randomState(spec));
  const stages = SIDES.map((side, i) => {
    const shape = [4, 2, side, side, spec.embedDim * 2 ** Math.min(i + 1, 3)];
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, k) => Math.sin(k * k + i));
    return { shared: lasting(gpu(), 'x', shape, data), tasks: null };
  });
  const without: string[] = [];
  await evaluate(gpu(), () => {
    const outputs = [...decode(store, stages, { training: true }).values()];
    const gradients = backward(outputs.map((y) => [y, y]));
    const own = store.packs.filter(({ name, kind }) => kind === 'param' && !name.startsWith('backbone.'));
    for (const { name } of own) if (!gradients.get(store.tensor(name))) without.push(name);
    return outputs;
  });
  const unused = 'decoders.decoders.normals.conv_seg';
  expect(without).toEqual([`${unused}.weight`, `${unused}.bias`]);
  store.destroy();
  for (const { shared } of stages) release(gpu(), shared);
});

test('decode() of HRNet heads leaves the room that their weights have at a gradient of 0', async () => {
  const spec = specWith({ semseg: 'hrnet', normals: 'hrnet' });
  const store = new ParameterStore(gpu(), spec);
  store.load(randomState(spec));
  const stages = SIDES.map((side, i) => {
    const shape = [2, 2, side, side, spec.embedDim * 2 ** Math.min(i + 1, 3)];
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, k) => Math.sin(k * k + i));
    return { shared: lasting(gpu(), 'x', shape, data), tasks: null };
  });
  const packs = store.packs.filter(({ parts: [first] }) => typeof first!.layout !== 'string');
  expect(packs).toHaveLength(5);
  const gradients = await evaluate(gpu(), () => {
    const outputs = [...decode(store, stages, { training: true }).values()];
    const found = backward(outputs.map((y) => [y, y]));
    return packs.map(({ name }) => found.get(store.tensor(name))!);
  });
  packs.forEach(({ parts }, p) => {
    for (const part of parts) {
      const inside = takenOut(part, gradients[p]!);
      const laid = laidOut(part, inside);
      const whole = gradients[p]!.subarray(part.at, part.at + laid.length);
      expect(inside.some((value) => value !== 0)).toBe(true);
      expect(whole.every((value, i) => value === laid[i])).toBe(true);      // so it is 0 in the room
    }
  });
  store.destroy();
  for (const { shared } of stages) release(gpu(), shared);
});
