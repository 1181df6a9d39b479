import { expect, test } from 'vitest';
import { evaluate } from '../../src/autograd/run.ts';
import { lasting, release } from '../../src/autograd/tensor.ts';
import type { HostTensor } from '../../src/data/host_tensor.ts';
import { writePth } from '../../src/data/pth_write.ts';
import { backbone } from '../../src/mtlora/backbone.ts';
import type { ModelSpec } from '../../src/mtlora/spec.ts';
import { ParameterStore } from '../../src/mtlora/store.ts';
import { expectSameRun, readCheckpoint } from '../../src/train/checkpoint.ts';
import { modelSpec } from '../../src/train/config.ts';
import { exportedState, releaseCheckpoint } from '../../src/train/export.ts';
import { releaseGroups } from '../../src/train/release_state.ts';
import { fitWeights } from '../../src/train/weights.ts';
import { folderWith } from '../support/folder.ts';
import { useGpu } from '../support/gpu.ts';
import { seeded } from '../support/seeded.ts';
import { fingerprint, randomState, tinyConfig } from '../support/tiny_model.ts';

const gpu = useGpu();

const config = tinyConfig({ DOWNSAMPLER_ENABLED: true });
const spec = modelSpec(config);
const state = randomState(spec);
const weights = fitWeights(spec, state, 'x.pth');

test('exportedState() is the state dict, or its backbone without the prefix', () => {
  expect(fingerprint(exportedState(spec, weights, 'x.pth'))).toEqual(fingerprint(state));
  const alone = exportedState(spec, weights, 'x.pth', { backboneOnly: true });
  const want = [...state].filter(([name]) => name.startsWith('backbone.'))
    .map(([name, tensor]) => [name.slice('backbone.'.length), tensor] as const);
  expect(fingerprint(alone)).toEqual(fingerprint(new Map(want)));
  expect(alone.has('layers.0.blocks.1.attn.proj.lora_tasks_A.semseg')).toBe(true);
});

/** Each stage's shared stream for random images. */
async function sharedStream(
  model: ModelSpec, values: ReadonlyMap<string, HostTensor>,
): Promise<Float32Array[]> {
  const { imgSize, inChannels } = model;
  const shape = [2, inChannels, imgSize, imgSize];
  const pick = seeded(4);
  const pixels = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => pick(4000) / 1000 - 2);
  const image = lasting(gpu(), 'images', shape, pixels);
  const store = new ParameterStore(gpu(), model);
  store.load(values);
  const mode = { training: false, wholeSharedStream: true };
  const stages = await evaluate(gpu(), () => backbone(store, image, mode).map(({ shared }) => shared));
  store.destroy();
  release(gpu(), image);
  return stages;
}

const LINEAR = ['matrix', 'matrixv2', 'lora_only'];
test.each(LINEAR)('exportedState() with stock is the shared stream of mode %s', async (mode) => {
  const adapted = modelSpec(tinyConfig({ SHARED_MODE: mode, DOWNSAMPLER_ENABLED: true }));
  const drawn = randomState(adapted);
  const stock = exportedState(adapted, fitWeights(adapted, drawn, 'x.pth'), 'x.pth', { stock: true });
  expect(stock.size).toBe(113);
  expect([...stock.keys()].filter((name) => /^(backbone|decoders)|lora_|\.linear\./.test(name))).toEqual([]);
  const plain = modelSpec(tinyConfig({ ENABLED: false }));
  const { values } = fitWeights(plain, stock, 'stock.pth', { backbone: true });
  const [want, got] = [await sharedStream(adapted, drawn), await sharedStream(plain, values)];
  const apart = want.map((stage, i) =>
    Math.hypot(...stage.map((x, at) => x - got[i]![at]!)) / Math.hypot(...stage));
  expect(apart.length).toBe(4);
  expect(Math.max(...apart)).toBeLessThan(1e-5);
});

test('exportedState() refuses what lacks tensors, and a stock backbone of mode addition', () => {
  const lost = new Map(state);
  lost.delete('decoders.decoders.semseg.last_layer.3.bias');
  const partial = fitWeights(spec, lost, 'x.pth');
  expect(() => exportedState(spec, partial, 'x.pth')).toThrow(
    'Cannot convert "x.pth": it must hold every tensor of the model, 1 are missing, '
    + 'such as "decoders.decoders.semseg.last_layer.3.bias" (does --cfg describe it?)');
  expect(exportedState(spec, partial, 'x.pth', { backboneOnly: true }).size).toBeGreaterThan(200);
  const additive = modelSpec(tinyConfig({ SHARED_MODE: 'addition' }));
  const drawn = fitWeights(additive, randomState(additive), 'x');
  expect(() => exportedState(additive, drawn, 'x', { stock: true })).toThrow(
    'in mode addition it adds a norm of the tasks\' outputs, as in "backbone.layers.0.blocks.1.attn.proj"');
});

test('readCheckpoint() goes on where releaseCheckpoint() says that a run stood', async () => {
  const updated = releaseGroups(spec).flat().filter(({ trainable }) => trainable)
    .map(({ name }) => [name, state.get(name)!] as const);
  const moments = [new Map(updated), new Map(updated.map(([name, { shape, data }]) =>
    [name, { dtype: 'F32' as const, shape, data: (data as Float32Array).map((x) => x * x) }]))] as const;
  const samples = 9;                                       // 4 updates an epoch
  const position = { step: 12, tracked: 12, samples };
  const saved = releaseCheckpoint(config, state, {
    position, moments, beside: new Map(), averages: null, fixed: null,
    lossScale: { scale: 32768, goodSteps: 11 },
  });
  expect([saved.epoch, saved.wholeEpochs]).toEqual([2, true]);
  const file = `${folderWith()}/ckpt_epoch_2.pth`;
  await writePth(file, saved.value);

  const context = { spec, samples, stepsPerEpoch: 4 };
  const resumed = await readCheckpoint(file, context);
  expect(fingerprint(resumed.model)).toEqual(fingerprint(state));
  expect(resumed.run).toMatchObject({
    position: { step: 12, tracked: 5, samples }, lossScale: { scale: 32768, goodSteps: 11 }, fixed: null,
  });
  expect(resumed.run!.moments.map(fingerprint)).toEqual(moments.map(fingerprint));
  expect(() => expectSameRun(resumed, config, samples)).not.toThrow();
  expect((await readCheckpoint(file)).run).toBe(null);

  const other = modelSpec(tinyConfig({ DOWNSAMPLER_ENABLED: true }, ['semseg']));
  await expect(readCheckpoint(file, { ...context, spec: other })).rejects.toThrow(
    `Cannot resume from "${file}": optimizer: its groups must hold [`);
});
