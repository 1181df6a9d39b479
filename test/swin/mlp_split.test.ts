import { expect, test } from 'vitest';
import { limitedStep, worstApart } from '../support/limited_step.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();
const TASKS = ['sal', 'normals'] as const;
/** fc1's output of an image in the first stage's last block: 3 streams of 16 by 16 tokens of 32 channels. */
const HIDDEN = 4 * 3 * 16 * 16 * 32;

for (const [mode, more] of [['matrix', {}], ['addition', { SHARED_MODE: 'addition' }]] as const) {
  test(`mlp() of images one after another has outputs and gradients of all at once, ${mode}`, async () => {
    const whole = await limitedStep(gpu(), null, TASKS, more);
    const parts = await limitedStep(gpu(), 2 * HIDDEN, TASKS, more);
    expect([whole.largest, parts.largest]).toEqual([3 * HIDDEN, 2 * HIDDEN]);      // one image, then two
    expect(parts.launches.some((label) => label.includes('blocks.1 mlp images.1 fc1'))).toBe(true);
    expect(whole.launches.some((label) => label.includes('images.'))).toBe(false);
    expect(Math.abs(parts.loss / whole.loss - 1)).toBeLessThan(1e-6);
    expect([...parts.gradients.keys()]).toEqual([...whole.gradients.keys()]);
    const { name, apart } = worstApart(parts.gradients, whole.gradients);
    expect(apart, name).toBeLessThan(1e-4);
  });
}

test('mlp() of an image that is too large by itself is refused with the tensor\'s name', async () => {
  await expect(limitedStep(gpu(), HIDDEN - 16, TASKS)).rejects.toThrow(
    /layers\.0 blocks\.1 mlp fc1 mtlora linear \[3, 3, 16, 16, 32\]: needs 294912 bytes in one binding/);
});
