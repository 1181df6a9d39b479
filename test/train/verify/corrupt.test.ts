// What verify must not let pass: other numbers, missing or extra tensors, fields that it does not know.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { verifyFolder } from '../../../src/train/verify/index.ts';
import { changeTensor, copyCase, nudged } from '../../support/golden_copy.ts';
import { folderWith } from '../../support/folder.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();

async function failing(folder: string): Promise<{ name: string; rule: string | undefined }[]> {
  const [report] = await verifyFolder(gpu(), folder);
  return report!.checks.filter(({ pass }) => !pass).map(({ name, rule }) => ({ name, rule }));
}

const CASES: readonly [folder: string, name: string, tensors: readonly string[]][] = [
  ['mtlora-linear', 'matrix_t3_xt',
    ['out.out', 'out.out_tasks.sal', 'grad.x_tasks.normals', 'grad.lora_tasks_B.sal']],
  ['mtlora-linear', 'matrix_t3_xt_scales', ['grad.lora_shared_scale', 'grad.lora_task_scale.semseg']],
  ['blocks', 'block_ts_droppath', ['out.out_tasks.normals', 'grad.attn.proj.lora_shared_B', 'grad.x']],
  ['blocks', 'attn_ta_mask', ['grad.relative_position_bias_table']],
  ['losses', 'normals', ['grad.normals']],
  ['optim', 'adamw_clip', ['step6.weight2d', 'final.exp_avg.conv.weight']],
];

for (const [folder, name, tensors] of CASES) {
  for (const tensor of tensors) {
    test(`verifyFolder() finds that ${tensor} of ${folder}/${name} was changed`, async () => {
      const root = copyCase(folder, name);
      expect(await failing(root)).toEqual([]);
      changeTensor(join(root, `${name}.safetensors`), tensor, nudged);
      expect((await failing(root)).map((check) => check.name)).toEqual([`${name} ${tensor}`]);
    });
  }
}

test('verifyFolder() finds a head whose running statistics were changed', async () => {
  const root = copyCase('decoders', 'hrnet_odd');
  changeTensor(join(root, 'hrnet_odd.safetensors'), 'train.after.last_layer.1.running_var', nudged);
  expect((await failing(root)).map(({ name }) => name))
    .toEqual(['hrnet_odd train.after.last_layer.1.running_var']);
});

test('verifyFolder() takes no other description for the same numbers', async () => {
  const scaled = copyCase('mtlora-linear', 'matrix_t0', (given) => ({ ...given, sharedScale: 4.001 }));
  expect((await failing(scaled)).map(({ name }) => name)).toContain('matrix_t0 out.out');
  const shifted = copyCase('blocks', 'block_ts_fc2_only', (given) =>
    ({ ...given, ctor: { ...given.ctor as object, shift_size: 0 } }));
  expect((await failing(shifted)).map(({ name }) => name)).toContain('block_ts_fc2_only out.out');
});

test('verifyFolder() names the field that it does not know', async () => {
  const root = copyCase('mtlora-linear', 'matrix_t0', (given) => ({ ...given, alpha: 16 }));
  const [check, ...others] = await failing(root);
  expect(others).toEqual([]);
  expect(check).toEqual({ name: 'matrix_t0 runs',
    rule: `verify: "${root}/cases.json", case "matrix_t0": Unrecognized key: "alpha"` });
  const ctor = copyCase('blocks', 'block_ts_fc2_only', (given) =>
    ({ ...given, ctor: { ...given.ctor as object, attn_drop: 0.1 } }));
  expect((await failing(ctor))[0]!.rule).toMatch(/case "block_ts_fc2_only", ctor.attn_drop: .*expected 0/);
});

test('verifyFolder() names the tensor that is missing, or that nothing uses', async () => {
  const root = copyCase('mtlora-linear', 'matrix_t0');
  const file = join(root, 'matrix_t0.safetensors');
  changeTensor(file, 'param.lora_shared_A', () => null);
  expect((await failing(root))[0]!.rule)
    .toBe(`${file}: no tensor "param.lora_shared_A", which the case needs`);
  const extra = copyCase('mtlora-linear', 'matrix_t0', (given) => ({ ...given, bias: false }));
  expect((await failing(extra))[0]!.rule)
    .toBe(`${join(extra, 'matrix_t0.safetensors')}: what the case describes has no parameter "linear.bias"`);
});

test('verifyFolder() holds every relative error to a tolerance that is given', async () => {
  const folder = copyCase('mtlora-linear', 'matrix_t3_xt');
  const [strict] = await verifyFolder(gpu(), folder, { tolerance: 1e-12 });
  expect(strict!.checks.filter(({ pass }) => !pass).length).toBeGreaterThan(5);
  changeTensor(join(folder, 'matrix_t3_xt.safetensors'), 'out.out', nudged);
  const [loose] = await verifyFolder(gpu(), folder, { tolerance: 0.1 });
  expect(loose!.checks.every(({ pass }) => pass)).toBe(true);
});

test('verifyFolder() says what a folder must hold', async () => {
  await expect(verifyFolder(gpu(), 'no/such')).rejects.toThrow('verify: no folder "no/such"');
  const empty = folderWith({ 'notes.txt': 'x' });
  await expect(verifyFolder(gpu(), empty)).rejects.toThrow(
    `verify: "${empty}" must hold golden data, such as a cases.json with its tensors, got [notes.txt]`);
  const odd = folderWith({ 'cases.json': '{}' });
  await expect(verifyFolder(gpu(), odd)).rejects.toThrow(`"${odd}/cases.json" must hold a list of cases`);
});
