// Whole models of the release: outputs, losses, every gradient, three updates, checkpoints.
import { expect, test } from 'vitest';
import type { Gpu } from '../../../src/gpu/device.ts';
import { verifyFolder } from '../../../src/train/verify/index.ts';
import { verifyMicro } from '../../../src/train/verify/micro.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();
const COMPILING = 300_000;      // on a software device whose shader cache is empty

/** The device without what only fast forms of kernels need: the micro model runs on their plain forms. */
const plain = (): Gpu => ({ ...gpu(), features: new Set() });

test('verifyFolder() finds the models, gradients, updates and checkpoints of the release', async () => {
  const [report] = await verifyFolder(gpu(), 'test/fixtures/model-tiny');
  expect(report!.kind).toBe('model');
  expect(report!.checks.filter(({ pass }) => !pass)).toEqual([]);
  expect(report!.checks).toHaveLength(901);
  const names = report!.checks.map(({ name }) => name);
  const count = (part: string) => names.filter((name) => name.startsWith(`mtlora_plus_w4 ${part}`)).length;
  expect([count('grad.'), count('step3.'), count('eval.'), count('step 2 loss')]).toEqual([228, 234, 29, 5]);
}, COMPILING);

for (const name of [
  'matrix', 'matrixv2', 'addition', 'lora_only', 'plus', 'noQKV', 'noPROJ', 'noFC1', 'noFC2',
]) {
  test(`verifyMicro() follows the release for three steps in case ${name}`, async () => {
    const checks = await verifyMicro(plain(), 'test/fixtures/micro', [name]);
    expect(checks.filter(({ pass }) => !pass)).toEqual([]);
    expect(checks.filter((check) => check.name.startsWith(`${name} `)).length).toBeGreaterThan(60);
  }, COMPILING);
}
