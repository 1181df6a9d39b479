import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { empty } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { trace } from '../../src/gpu/program.ts';
import { withKernelForm } from '../../src/ops/kernel_form.ts';
import { linear } from '../../src/ops/matmul.ts';
import { useGpu } from '../support/gpu.ts';
import { linearDefinition } from '../support/linear.ts';

const gpu = useGpu();

const byTile = <T>(body: () => T): T => withKernelForm('tile', body);

// a tile, past it in all directions and unaligned, runs of k in the forward and in the weight's gradient
for (const [m, n, k] of [[128, 64, 32], [133, 70, 45], [130, 97, 700], [700, 96, 64]] as const) {
  test(`linear() by matrices agrees with its definition at ${m} x ${k} -> ${n}`, async (context) => {
    context.skip(gpu().matrices.length === 0, 'this device has no subgroup matrices');
    // f16 has 11 bits: factors are off by 2e-4
    await gradcheck(gpu(), (x, w, b) => linear(x!, w!, b!), linearDefinition(m, n, k, 1),
      [[m, k], [n, k], [n]], { around: byTile, halves: [0], tolerance: 1e-3, gradTolerance: 1e-3 });
  });
}

function variantOf(device: Gpu, x: 'f32' | 'f16', w: 'f32' | 'f16', m = 64): string {
  const { program } = trace(device, 'product', () => byTile(() =>
    linear(empty([m, 64], 'x', x), empty([64, 64], 'w', w), null)));
  return program.dispatches[0]!.variant.split(' ')[0]!;
}

test('linear() takes the matrix units for products of halves that are worth it', () => {
  const able = { ...gpu(), subgroupSize: 32, matrices: [{ m: 16, n: 16, k: 48 }, { m: 16, n: 8, k: 16 }] };
  expect(variantOf(able, 'f16', 'f16')).toBe('matmul_matrix');
  expect(variantOf(able, 'f16', 'f32')).toBe('matmul_matrix');
  expect(variantOf(able, 'f32', 'f32')).toBe('matmul_tile');
  expect(variantOf(able, 'f16', 'f16', 31)).toBe('matmul_tile');
  expect(variantOf({ ...able, matrices: [] }, 'f16', 'f16')).toBe('matmul_tile');
});
