import { expect, test } from 'vitest';
import type { HostTensor } from '../../src/data/host_tensor.ts';
import { mergeWeights } from '../../src/mtlora/merge.ts';
import { parameterTable } from '../../src/mtlora/names.ts';
import type { Task } from '../../src/mtlora/spec.ts';
import { formatConfig, loadConfig, modelSpec, type Config } from '../../src/train/config.ts';
import { costOf, mergedConfig, outputDifference } from '../../src/train/merge.ts';
import { folderWith } from '../support/folder.ts';
import { useGpu } from '../support/gpu.ts';
import { randomState, tinyConfig } from '../support/tiny_model.ts';

const gpu = useGpu();

/** Names of tensors of low-rank branches, without "backbone.layers.". */
function branches(config: Config): string[] {
  return parameterTable(modelSpec(config)).map(({ name }) => name.replace('backbone.layers.', ''))
    .filter((name) => name.includes('lora_'));
}

async function merged(config: Config, task: Task | null = null): Promise<{ after: Config; apart: number[] }> {
  const spec = modelSpec(config);
  const values = randomState(spec);
  const after = mergedConfig(config, task);
  const target = modelSpec(after);
  const apart = await outputDifference(gpu(), { spec, values },
    { spec: target, values: mergeWeights(spec, target, values) });
  return { after, apart: [...apart.values()] };
}

const BOUND = 1e-5;
const PLUS = { DOWNSAMPLER_ENABLED: true };

// what, its fields, how many tensors of branches are left, of how many
test.each<[string, Record<string, unknown>, number, number]>([
  ['matrix', {}, 70, 104],
  ['matrix with merging', PLUS, 70, 110],
  ['matrixv2', { SHARED_MODE: 'matrixv2' }, 48, 104],
  ['addition', { SHARED_MODE: 'addition', ...PLUS }, 72, 110],
  ['lora_only', { SHARED_MODE: 'lora_only', ...PLUS }, 0, 62],
  ['a trainable factor', { TRAINABLE_SCALE_SHARED: true, SHARED_MODE: 'matrixv2' }, 48, 132],
  ['specialised blocks', { INTERMEDIATE_SPECIALIZATION: true }, 70, 140],
  ['such blocks of addition', { INTERMEDIATE_SPECIALIZATION: true, SHARED_MODE: 'addition' }, 126, 140],
  ['no proj', { PROJ_ENABLED: false, ...PLUS }, 46, 80],
  ['no fc1', { FC1_ENABLED: false }, 46, 74],
  ['no fc2', { FC2_ENABLED: false }, 0, 74],
])('mergeWeights() keeps the outputs of %s', async (_, lora, left, all) => {
  const config = tinyConfig(lora);
  const { after, apart } = await merged(config);
  expect([branches(after).length, branches(config).length]).toEqual([left, all]);
  expect(apart.length).toBe(2);
  expect(Math.max(...apart)).toBeLessThan(BOUND);
  expect(Math.max(...apart)).toBeGreaterThan(0);
});

test('mergeWeights() keeps one task alone, with its branches as factors', async () => {
  const config = tinyConfig(PLUS, ['semseg', 'normals', 'sal']);
  const { after, apart } = await merged(config, 'sal');
  expect(apart[0]).toBeLessThan(BOUND);
  expect(after.TASKS).toEqual(['sal']);
  const shared = branches(after).filter((name) => !/tasks_[AB]\.sal$/.test(name));
  expect(shared.map((name) => name.replace(/_[AB]$/, '')))
    .toEqual([0, 1, 2, 3].flatMap((stage) => ['attn.proj', 'mlp.fc1', 'mlp.fc2']
      .filter((site) => stage < 3 || site !== 'mlp.fc2')
      .flatMap((site) => Array<string>(2).fill(`${stage}.blocks.${stage < 3 ? 1 : 0}.${site}.lora_shared`))));
  const [before, less] = [costOf(modelSpec(config)), costOf(modelSpec(after))];
  expect(less.parameters / before.parameters).toBeCloseTo(0.863, 3);
  expect(less.macs / before.macs).toBeCloseTo(0.703, 3);
});

test('mergedConfig() of one task without branches is plain Swin', async () => {
  const { after, apart } = await merged(tinyConfig({ SHARED_MODE: 'lora_only', ...PLUS }), 'normals');
  expect(after.MODEL.MTLORA.ENABLED).toBe(false);
  expect(parameterTable(modelSpec(after)).some(({ name }) => /lora_|\.linear\./.test(name))).toBe(false);
  expect(apart[0]).toBeLessThan(BOUND);
});

test('mergedConfig() gives a file that loads to the same model', () => {
  for (const task of [null, 'semseg'] as const) {
    const after = mergedConfig(tinyConfig(PLUS), task);
    const file = `${folderWith({ 'merged.yaml': formatConfig(after) })}/merged.yaml`;
    expect(modelSpec(loadConfig(file).config)).toEqual(modelSpec(after));
  }
});

test('mergedConfig() refuses a task that is not there, or that needs the others', () => {
  expect(() => mergedConfig(tinyConfig(), 'depth'))
    .toThrow('--task must be one of semseg, normals, got "depth"');
  const addition = { SHARED_MODE: 'addition' };
  expect(() => mergedConfig(tinyConfig(addition), 'semseg')).toThrow(
    'merge: "semseg" must not depend on other tasks, but in mode addition the shared stream adds up the '
    + 'outputs of every task, as in "backbone.layers.0.blocks.1.attn.proj"; leave out --task');
  expect(mergedConfig(tinyConfig(addition, ['semseg']), 'semseg').TASKS).toEqual(['semseg']);
});

test('outputDifference() sees one wrong weight', async () => {
  const spec = modelSpec(tinyConfig());
  const values = randomState(spec);
  const name = 'backbone.layers.1.blocks.0.mlp.fc1.linear.weight';
  const tensor = values.get(name)!;
  const data = (tensor.data as Float32Array).slice();
  data[7]! += 0.02;
  const wrong = new Map<string, HostTensor>([...values, [name, { ...tensor, data }]]);
  const apart = await outputDifference(gpu(), { spec, values }, { spec, values: wrong });
  expect(Math.min(...apart.values())).toBeGreaterThan(BOUND);
});
