import { expect, test } from 'vitest';
import { savedByAutograd } from '../../bench/support/activations.ts';
import { releasedSpec } from '../support/released.ts';

// what bench/peers/torch_step.py counted in PyTorch 1.13 on the CPU by saved_tensors_hooks, each storage once
for (const [img, tasks, bytes] of [
  [224, 'semseg, normals, sal, human_parts', 308_074_448],
  [224, 'semseg', 196_879_212],
  [448, 'semseg, normals, sal, human_parts', 1_232_599_784],
] as const) {
  test(`savedByAutograd() counts what PyTorch keeps at ${img}² with ${tasks}`, () => {
    const opts = ['DATA.IMG_SIZE', `${img}`, 'TASKS', `[${tasks}]`];
    const spec = releasedSpec('mtlora_tiny_448_r64_scale4_pertask', ...opts);
    expect(Math.abs(savedByAutograd(spec, 1) / bytes - 1)).toBeLessThan(5e-3);
  });
}

test('savedByAutograd() grows with the batch, and shrinks with the bytes of a dropout mask', () => {
  const spec = releasedSpec('mtlora_tiny_448_r64_scale4_pertask', 'TASKS', '[semseg]');
  expect(savedByAutograd(spec, 3)).toBe(3 * savedByAutograd(spec, 1));
  expect(savedByAutograd(spec, 1, { maskBytes: 1 })).toBeLessThan(0.95 * savedByAutograd(spec, 1));
});
