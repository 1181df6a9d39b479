import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isNeverUpdated } from '../../src/mtlora/freeze.ts';
import { parameterTable } from '../../src/mtlora/names.ts';
import type { Parameter } from '../../src/mtlora/names.ts';
import { loadConfig, modelSpec } from '../../src/train/config.ts';
import { loadJson } from '../support/fixtures.ts';
import { folderWith } from '../support/folder.ts';
import { releasedSpec } from '../support/released.ts';

function fingerprint(lines: readonly string[]): string {
  return createHash('sha256').update(lines.toSorted().join('\n')).digest('hex').slice(0, 16);
}

const R64 = 'mtlora_tiny_448_r64_scale4_pertask';

const SHA: readonly [config: string, entries: number, params: number, trainable: number,
  shapes: string, names: string][] = [
  ['mtlora_tiny_448_r16_scale4_pertask', 431, 401, 305, '41f706485aa9472f', '8bc765cb01f4bdf9'],
  ['mtlora_tiny_448_r32_scale4_pertask', 431, 401, 305, 'df9013ea0d8a4eca', '8bc765cb01f4bdf9'],
  ['mtlora_tiny_448_r64_scale4_pertask', 431, 401, 305, 'c4efe307592c0204', '8bc765cb01f4bdf9'],
  ['mtlora_plus_tiny_448_r4_scale4', 437, 407, 308, '88c9306126603b73', '3f4ca4543a19a184'],
  ['mtlora_plus_tiny_448_r8_scale4', 437, 407, 308, '4af075556a0ac9fc', '3f4ca4543a19a184'],
  ['mtlora_plus_tiny_448_r16_scale4', 437, 407, 308, '7906ede74c12342c', '3f4ca4543a19a184'],
  ['mtlora_plus_tiny_448_r16_scale4_pertask', 437, 407, 308, '9e7afbc355423c80', '3f4ca4543a19a184'],
  ['mtlora_plus_tiny_448_r32_scale4_pertask', 437, 407, 308, 'd41c7f23b3cfbf8c', '3f4ca4543a19a184'],
  ['mtlora_plus_tiny_448_r64_scale4_pertask', 437, 407, 308, '84a769897853932f', '3f4ca4543a19a184'],
  ['swin_tiny_patch4_window7_448', 239, 209, 209, '38f787760cbf8b66', 'c6abf39991793d89'],
];

for (const [config, entries, params, trainable, shapes, names] of SHA) {
  test(`parameterTable() has the release's tensors for ${config}`, () => {
    const table = parameterTable(releasedSpec(config));
    const training = table.filter((entry) => entry.trainable);
    expect([table.length, table.filter(({ kind }) => kind === 'param').length, training.length])
      .toEqual([entries, params, trainable]);
    expect(fingerprint(table.map(({ name, shape }) => `${name}|${shape.join(',')}`))).toBe(shapes);
    expect(fingerprint(training.map(({ name }) => name))).toBe(names);
  });
}

type Golden = {
  cfg: unknown;
  tasks: string[];
  stateShapes: Record<string, number[]>;
  parameters: string[];
  trainable: string[];
  noGradThoughTrainable: string[];
  optimizerGroups: { weightDecay: number; names: string[] }[];
};

for (const name of ['mtlora_w4', 'mtlora_plus_w4', 'mtlora_w7', 'plain_swin_mtl']) {
  test(`parameterTable() keeps the order, shapes and groups of ${name}`, () => {
    const golden = loadJson<Golden>('model-tiny', name);
    const file = join(folderWith({ 'config.yaml': JSON.stringify(golden.cfg) }), 'config.yaml');
    const spec = modelSpec(loadConfig(file, [], { tasks: golden.tasks.join(',') }).config);
    const table = parameterTable(spec);
    const named = (keep: (parameter: Parameter) => boolean) => table.filter(keep).map((entry) => entry.name);

    expect(table.map((entry) => [entry.name, entry.shape])).toEqual(Object.entries(golden.stateShapes));
    expect(named(({ kind }) => kind === 'param')).toEqual(golden.parameters);
    expect(named(({ trainable }) => trainable)).toEqual(golden.trainable);
    expect(named((entry) => isNeverUpdated(spec, entry.name))).toEqual(golden.noGradThoughTrainable);
    const [decayed, free] = golden.optimizerGroups;
    expect(named(({ decay }) => decay)).toEqual(decayed!.names);
    expect(named(({ kind, decay }) => kind === 'param' && !decay)).toEqual(free!.names);
  });
}

function find(table: readonly Parameter[], name: string): Parameter | undefined {
  return table.find((entry) => entry.name === name);
}

test('parameterTable() starts layers as the release does', () => {
  const table = parameterTable(releasedSpec(R64));
  const init = (name: string) => find(table, name)?.init;
  const block = 'backbone.layers.0.blocks.1';
  expect(init(`${block}.attn.qkv.linear.weight`)).toEqual({ kind: 'normal', std: 0.02, cut: 2 });
  expect(init(`${block}.attn.relative_position_bias_table`)).toEqual({ kind: 'normal', std: 0.02, cut: 2 });
  expect(init(`${block}.mlp.fc2.lora_tasks_A.sal`)).toEqual({ kind: 'uniform', bound: 1 / Math.sqrt(384) });
  expect(init(`${block}.mlp.fc2.lora_tasks_B.sal`)).toEqual({ kind: 'constant', value: 0 });
  expect(init('backbone.patch_embed.proj.bias')).toEqual({ kind: 'uniform', bound: 1 / Math.sqrt(48) });
  expect(init('downsampler.sal.downsample_2.weight')).toEqual({ kind: 'uniform', bound: 1 / Math.sqrt(768) });
  expect(init('decoders.decoders.sal.last_layer.1.running_var')).toEqual({ kind: 'constant', value: 1 });
  expect(init(`${block}.attn_mask`)).toEqual({ kind: 'shiftMask', side: 112, window: 7, shift: 3 });
  expect(find(table, `${block}.attn_mask`)!.shape).toEqual([256, 49, 49]);
  expect(find(table, `${block}.attn.relative_position_index`)).toMatchObject(
    { dtype: 'I64', kind: 'buffer', trainable: false, init: { kind: 'positionIndex', window: 7 } });
});

test('parameterTable() decays 232 trainable tensors and leaves 73 alone', () => {
  const table = parameterTable(releasedSpec(R64));
  const sizes = (decay: boolean) => table.filter((entry) => entry.trainable && entry.decay === decay)
    .map(({ shape }) => shape.reduce((size, extent) => size * extent, 1));
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  expect([sizes(true).length, sum(sizes(true)), sizes(false).length, sum(sizes(false))])
    .toEqual([232, 8308314, 73, 36320]);
  const exempt = parameterTable(releasedSpec(R64), { decayPositionBias: false });
  expect(exempt.filter((entry) => entry.trainable && entry.decay)).toHaveLength(220);
});

test('parameterTable() has no masks where the grid is one window', () => {
  const table = parameterTable(releasedSpec(R64, 'DATA.IMG_SIZE', '224'));
  expect(find(table, 'backbone.layers.2.blocks.5.attn_mask')!.shape).toEqual([4, 49, 49]);
  expect(find(table, 'backbone.layers.3.blocks.1.attn_mask')).toBeUndefined();
});

test('parameterTable() names the low-rank tensors of every mode', () => {
  const fc1 = (...opts: string[]) => parameterTable(releasedSpec(R64, ...opts))
    .filter(({ name }) => name.startsWith('backbone.layers.1.blocks.1.mlp.fc1.'))
    .map(({ name }) => name.replace(/^.*fc1\./, '').replace(/\.(normals|sal|human_parts|semseg)$/, ''));
  const frozen = ['linear.weight', 'linear.bias'];
  const shared = ['lora_shared_A', 'lora_shared_B'];
  const tasks = [...Array<string>(4).fill('lora_tasks_A'), ...Array<string>(4).fill('lora_tasks_B')];
  const mode = (value: string) => fc1('MODEL.MTLORA.SHARED_MODE', value);
  expect(mode('matrix')).toEqual([...shared, ...frozen, ...tasks]);
  expect(mode('matrixv2')).toEqual([...shared, ...frozen, ...tasks]);
  expect(mode('addition')).toEqual([...frozen, ...tasks, 'lora_norm.weight', 'lora_norm.bias']);
  expect(mode('lora_only')).toEqual([...shared, ...frozen]);
  expect(fc1('MODEL.MTLORA.TRAINABLE_SCALE_SHARED', 'yes'))
    .toEqual([...shared, 'lora_shared_scale', ...frozen, ...tasks]);
  expect(fc1('MODEL.MTLORA.FC1_ENABLED', 'off')).toEqual(['weight', 'bias']);
});
