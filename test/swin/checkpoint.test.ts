import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

import { toFloat32 } from '../../src/data/host_tensor.ts';
import type { HostTensor } from '../../src/data/host_tensor.ts';
import { readSafetensors } from '../../src/data/safetensors.ts';
import { loadStateDict } from '../../src/data/state_dict.ts';
import { parameterTable } from '../../src/mtlora/names.ts';
import { describeMapping, mapCheckpoint } from '../../src/swin/checkpoint.ts';
import type { FileTensor, Target } from '../../src/swin/checkpoint.ts';
import { maxDifference } from '../support/golden_data.ts';
import { releasedSpec } from '../support/released.ts';

// What the release's own loader did: a case's `.pth` went in, its `.loaded.safetensors` came out.
const FIXTURES = 'test/fixtures/swin-checkpoint';
type Case = { name: string; missingKeys: string[]; unexpectedKeys: string[]; backboneKeys: string[] };
const EMPTY = new Float32Array(0);
const CASES = JSON.parse(readFileSync(`${FIXTURES}/cases.json`, 'utf8')) as Case[];

function zeros(...shape: number[]): HostTensor {
  return { dtype: 'F32', shape, data: new Float32Array(shape.reduce((count, side) => count * side, 1)) };
}

function file(names: Record<string, HostTensor>): Map<string, HostTensor> {
  return new Map(Object.entries(names));
}

/** The model that a case loaded into; low-rank branches are in no file, so their shape does not matter. */
function backbone({ name, backboneKeys }: Case): { loaded: Map<string, HostTensor>; target: Target[] } {
  const loaded = readSafetensors(`${FIXTURES}/${name}.loaded.safetensors`).tensors;
  const shapeOf = (key: string): readonly number[] => loaded.get(key)?.shape ?? [1];
  const entries = backboneKeys.map((key) => ({ name: `backbone.${key}`, shape: shapeOf(key) }));
  return { loaded, target: [...entries, { name: 'decoders.decoders.semseg.last_layer.0.bias', shape: [1] }] };
}

for (const golden of CASES) {
  test(`mapCheckpoint() loads what the release loads in case ${golden.name}`, async () => {
    const { loaded, target } = backbone(golden);
    const source = await loadStateDict(`${FIXTURES}/${golden.name}.pth`);
    const { values, missing, unexpected, resized } = mapCheckpoint(source, target, { backbone: true });
    expect([...missing].sort()).toEqual(golden.missingKeys.map((key) => `backbone.${key}`).sort());
    expect(unexpected).toEqual(golden.unexpectedKeys);
    expect(resized.length).toBe({ larger_image: 0, window_7_to_4: 6, window_2_to_4: 8 }[golden.name]);
    const tables = new Set(resized.map(({ name }) => name));
    for (const [name, tensor] of values) {
      const want = loaded.get(name.slice('backbone.'.length))!;
      expect(tensor.shape, name).toEqual(want.shape);
      if (tables.has(name)) {
        expect(maxDifference(toFloat32(tensor), toFloat32(want)), name).toBeLessThan(2e-5);
      } else expect(tensor.data, name).toEqual(want.data);
    }
  });
}

test.each([
  ['mtlora_tiny_448_r64_scale4_pertask', 192], ['mtlora_plus_tiny_448_r16_scale4', 198],
  ['swin_tiny_patch4_window7_448', 0],
])('mapCheckpoint() reports of stock Swin-T what the release reports, in %s', (name, branches) => {
  const tensor = (shape: readonly number[]): FileTensor => ({ dtype: 'F32', shape, data: EMPTY });
  const source = new Map([['norm.weight', tensor([768])], ['norm.bias', tensor([768])],
    ['head.weight', tensor([1000, 768])], ['head.bias', tensor([1000])],
    ['layers.0.blocks.1.attn_mask', tensor([64, 49, 49])]]);
  for (const { name: full, shape } of parameterTable(releasedSpec('swin_tiny_patch4_window7_448'))) {
    const stock = full.replace(/^backbone\./, '');
    if (stock !== full && !stock.endsWith('attn_mask')) source.set(stock, tensor(shape));
  }
  const mapping = mapCheckpoint(source, parameterTable(releasedSpec(name)), { backbone: true });
  expect(describeMapping(mapping).toSorted()).toEqual([
    'loaded 181 tensors',
    ...branches ? [`missing ${branches}: low-rank branches, which start anew`] : [],
    'missing 6: attention masks, which follow from the image size',
    'unexpected 4, left out: "norm.weight", "norm.bias", "head.weight", "head.bias"',
  ]);
});

test('mapCheckpoint() refuses tables of another window if they are strict', async () => {
  const { target } = backbone(CASES.find(({ name }) => name === 'window_2_to_4')!);
  const source = await loadStateDict(`${FIXTURES}/window_2_to_4.pth`);
  expect(() => mapCheckpoint(source, target, { backbone: true, strictTables: true })).toThrow(
    /^"layers.0.blocks.0.attn.relative_position_bias_table" must be \[49, 1\], got \[9, 1\], "lay.+_index"/);
});

test('mapCheckpoint() takes a full model by its names, adapted or plain, with or without decoders', () => {
  const target = [
    { name: 'backbone.layers.0.blocks.0.mlp.fc1.linear.weight', shape: [4, 2] },
    { name: 'backbone.layers.0.downsample.reduction.weight', shape: [2, 4] },
    { name: 'decoders.decoders.semseg.last_layer.0.bias', shape: [3] },
  ];
  const plain = file({
    'backbone.layers.0.blocks.0.mlp.fc1.weight': zeros(4, 2),
    'backbone.layers.0.downsample.reduction.weight': zeros(2, 4),
    'decoders.decoders.semseg.last_layer.0.bias': zeros(3),
  });
  expect([...mapCheckpoint(plain, target).values.keys()]).toEqual(target.map(({ name }) => name));
  const skipped = mapCheckpoint(plain, target, { skipDecoder: true });
  expect(skipped.missing).toEqual(['decoders.decoders.semseg.last_layer.0.bias']);
  expect(skipped.unexpected).toEqual([]);
  const adapted = file({ 'backbone.layers.0.blocks.0.mlp.fc1.linear.weight': zeros(4, 2) });
  expect(mapCheckpoint(adapted, target).values.size).toBe(1);
  expect(() => mapCheckpoint(new Map([...plain, ...adapted]), target))
    .toThrow('mlp.fc1.linear.weight" must be in the file once, got it with two names');
});

test('mapCheckpoint() names every tensor of another size, tables of other heads too', () => {
  const target = [
    { name: 'a.weight', shape: [2, 3] }, { name: 'b.relative_position_bias_table', shape: [9, 2] },
    { name: 'c.relative_position_bias_table', shape: [9, 2] }, { name: 'd', shape: [1] },
  ];
  const source = file({
    'a.weight': zeros(3, 2), 'b.relative_position_bias_table': zeros(25, 3),
    'c.relative_position_bias_table': zeros(26, 2), 'd': zeros(1),
  });
  expect(() => mapCheckpoint(source, target)).toThrow(new Error('"a.weight" must be [2, 3], got [3, 2], ' +
    '"b.relative_position_bias_table" must be [9, 2], got [25, 3], ' +
    '"c.relative_position_bias_table" must be [9, 2], got [26, 2]'));
});

test('mapCheckpoint() refuses a file of another model, and a half table of another window', () => {
  const target = [{ name: 'backbone.b.relative_position_bias_table', shape: [9, 1] }];
  expect(() => mapCheckpoint(file({ 'conv1.weight': zeros(1) }), target, { backbone: true })).toThrow(
    'tensors of this model like "backbone.b.relative_position_bias_table", got 1 like "conv1.weight"');
  const half: HostTensor = { dtype: 'F16', shape: [25, 1], data: new Uint16Array(25) };
  expect(() => mapCheckpoint(file({ 'b.relative_position_bias_table': half }), target, { backbone: true }))
    .toThrow('.relative_position_bias_table" must be F32 to be resized to another window, got F16');
});

test('describeMapping() says why names are missing, and groups them', async () => {
  const golden = CASES.find(({ name }) => name === 'window_7_to_4')!;
  const source = await loadStateDict(`${FIXTURES}/${golden.name}.pth`);
  const target = [...backbone(golden).target, { name: 'backbone.extra', shape: [1] }];
  expect(describeMapping(mapCheckpoint(source, target, { backbone: true }))).toEqual([
    'loaded 91 tensors',
    'missing 6: position indices, which follow from the window size',
    'missing 102: low-rank branches, which start anew',
    'missing 1: attention masks, which follow from the image size',
    'missing 1: "backbone.extra"',
    'unexpected 4, left out: "norm.weight", "norm.bias", "head.weight", "head.bias"',
    'resized 6 relative position bias tables: [169, 1] → [49, 1], [169, 2] → [49, 2], [169, 4] → [9, 4]',
  ]);
});
