import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openGpu } from '../../src/gpu/device.ts';
import { mlpStep } from '../support/mlp_step.ts';

const ROOT = join(import.meta.dirname, '../..');

/** Weights after eight updates on a device of their own. */
async function trained(seed: number): Promise<Float32Array> {
  const gpu = await openGpu();
  const step = await mlpStep(gpu);
  for (let i = 0; i < 8; i++) await step.run(i, seed);
  const weights = await step.weights();
  gpu.close();
  return weights;
}

const bits = (values: Float32Array): string => Buffer.from(values.buffer).toString('hex');

test('run() gives the same bits for the same seed, and others for another', async () => {
  const [once, again, other] = [await trained(5), await trained(5), await trained(6)];
  expect(bits(again)).toBe(bits(once));
  expect(bits(other)).not.toBe(bits(once));
});

test('run() gives the same bits in another process', async () => {
  const script = `
    const { openGpu } = await import('./src/gpu/device.ts');
    const { mlpStep } = await import('./test/support/mlp_step.ts');
    const step = await mlpStep(await openGpu());
    for (let i = 0; i < 8; i++) await step.run(i, 5);
    console.log(Buffer.from((await step.weights()).buffer).toString('hex'));
    process.exit(0);`;
  const child = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: ROOT, encoding: 'utf8', timeout: 60_000,
  });
  expect(child.stdout.trim()).toBe(bits(await trained(5)));
});
