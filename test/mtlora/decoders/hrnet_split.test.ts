import { expect, test } from 'vitest';
import { limitedStep, worstApart } from '../../support/limited_step.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();
const TASKS = ['sal', 'normals', 'edge'] as const;
/** The hidden map of a task's head: 3 images of 8 by 8 tokens of 4 · 16 channels. */
const HIDDEN = 4 * 3 * 8 * 8 * 64;

test('decode() of tasks one after another has outputs, gradients and statistics of all at once', async () => {
  const whole = await limitedStep(gpu(), null, TASKS);
  const parts = await limitedStep(gpu(), 3 * HIDDEN - 16, TASKS);
  expect(whole.launches.some((label) => label.includes('hrnet tasks.'))).toBe(false);
  expect(parts.launches.some((label) => label.includes('hrnet tasks.1'))).toBe(true);        // two, then one
  expect(parts.launches.some((label) => label.includes('hrnet tasks.2'))).toBe(false);
  expect(Math.abs(parts.loss / whole.loss - 1)).toBeLessThan(1e-6);
  for (const of of ['gradients', 'state'] as const) {
    expect([...parts[of].keys()]).toEqual([...whole[of].keys()]);
    const { name, apart } = worstApart(parts[of], whole[of]);
    expect(apart, name).toBeLessThan(1e-4);
  }
  const statistics = [...whole.state.keys()].filter((name) => name.includes('last_layer.1.running_'));
  expect(statistics).toHaveLength(6);
});
