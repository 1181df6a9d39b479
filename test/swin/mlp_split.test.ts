import { expect, test } from 'vitest';
import { backward } from '../../src/autograd/tape.ts';
import { lasting, release, write } from '../../src/autograd/tensor.ts';
import { toFloat32 } from '../../src/data/host_tensor.ts';
import { withLimits } from '../../src/gpu/dry.ts';
import { compile } from '../../src/gpu/executable.ts';
import { keep } from '../../src/gpu/program.ts';
import { forward } from '../../src/mtlora/model.ts';
import { ParameterStore } from '../../src/mtlora/store.ts';
import { modelSpec } from '../../src/train/config.ts';
import { labelTensors, multiTaskLoss } from '../../src/train/loss.ts';
import { useGpu } from '../support/gpu.ts';
import { seeded } from '../support/seeded.ts';
import { randomState, tinyConfig } from '../support/tiny_model.ts';

const gpu = useGpu();
const BATCH = 3;
/** fc1's output of an image in the first stage's last block: 3 streams of 16 by 16 tokens of 32 channels. */
const HIDDEN = 4 * 3 * 16 * 16 * 32;

/** Losses and gradients of one step on a device that binds so many bytes at most; null for its own limit. */
async function step(limit: number | null, more: Record<string, unknown> = {}) {
  const device = limit === null ? gpu() : withLimits(gpu(), { maxStorageBufferBindingSize: limit });
  const spec = modelSpec(tinyConfig({ DROPOUT: [0, 0, 0, 0], ...more }, ['sal', 'normals']));
  const dropPath = spec.dropPath.map((rates) => rates.map(() => 0));
  const store = new ParameterStore(device, { ...spec, dropPath });
  store.load(randomState(spec));
  const pick = seeded(7);
  const image = lasting(device, 'image', [BATCH, 3, 32, 32],
    Float32Array.from({ length: BATCH * 3 * 32 * 32 }, () => pick(1000) / 500 - 1));
  const labels = labelTensors(device, ['sal', 'normals'], BATCH, 32);
  for (const tensor of labels.values()) {
    write(device, tensor, Float32Array.from({ length: tensor.bytes / 4 }, () => pick(2)));
  }
  const { executable, result } = await compile(device, 'step', () => {
    const { logits } = forward(store, image, { training: true });
    const { total } = multiTaskLoss(logits, labels);
    store.placeGradients(backward([[total, null]]));
    keep(total);
    return total;
  });
  executable.run();
  const [loss] = await executable.read([result]);
  const gradients = await store.readGradients();
  const labelsOf = executable.commands.map(({ dispatch }) => dispatch.label);
  const largest = Math.max(...executable.commands.flatMap(({ dispatch }) =>
    dispatch.uses.map(({ storage }) => storage.bytes)));
  executable.destroy();
  for (const tensor of [image, ...labels.values()]) release(device, tensor);
  store.destroy();
  return { loss: new Float32Array(loss!)[0]!, gradients, launches: labelsOf, largest };
}

const lengthOf = (values: Float32Array): number => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));

for (const [mode, more] of [['matrix', {}], ['addition', { SHARED_MODE: 'addition' }]] as const) {
  test(`mlp() of images one after another has outputs and gradients of all at once, ${mode}`, async () => {
    const [whole, parts] = [await step(null, more), await step(2 * HIDDEN, more)];
    expect(whole.largest).toBe(BATCH * HIDDEN);
    expect(parts.largest).toBe(2 * HIDDEN);                        // one image, then two
    expect(parts.launches.some((label) => label.includes('blocks.1 mlp images.1 fc1'))).toBe(true);
    expect(whole.launches.some((label) => label.includes('images.'))).toBe(false);
    expect(Math.abs(parts.loss / whole.loss - 1)).toBeLessThan(1e-6);
    expect([...parts.gradients.keys()]).toEqual([...whole.gradients.keys()]);
    const all = [...whole.gradients.values()].map(toFloat32);
    const longest = Math.max(...all.map(lengthOf));
    for (const [name, gradient] of whole.gradients) {
      const [want, got] = [toFloat32(gradient), toFloat32(parts.gradients.get(name)!)];
      const apart = lengthOf(want.map((value, i) => value - got[i]!));
      expect(apart / Math.max(lengthOf(want), 1e-5 * longest), name).toBeLessThan(1e-4);
    }
  });
}

test('mlp() of an image that is too large by itself is refused with the tensor\'s name', async () => {
  await expect(step(HIDDEN - 16)).rejects.toThrow(
    /layers\.0 blocks\.1 mlp fc1 mtlora linear \[3, 3, 16, 16, 32\]: needs 294912 bytes in one binding/);
});
