import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { empty } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { trace } from '../../src/gpu/program.ts';
import { concat } from '../../src/ops/concat.ts';
import { withKernelForm } from '../../src/ops/kernel_form.ts';
import { linear } from '../../src/ops/matmul.ts';
import { mtloraLinear } from '../../src/ops/mtlora_linear.ts';
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
      [[m, k], [n, k], [n]], { around: byTile, halves: [0], tolerance: 1e-3, gradTolerance: 2e-3 });
  });
}

/** Two equal branches: each output is x (w + B A)ᵀ + b. */
function adapted(m: number, n: number, k: number, rank: number) {
  return (...[x, w, a, bt, b]: Float64Array[]): Float64Array => {
    const merged = w!.map((value, at) => {
      for (let j = 0; j < rank; j++) value += bt![j * n + Math.floor(at / k)]! * a![j * k + at % k]!;
      return value;
    });
    const y = linearDefinition(m, n, k)(x!, merged, b!);
    return Float64Array.from([...y, ...y]);
  };
}

test('mtloraLinear() by matrices agrees with its definition', async (context) => {
  context.skip(gpu().matrices.length === 0, 'this device has no subgroup matrices');
  const [m, n, k, rank] = [133, 100, 72, 8];
  await gradcheck(gpu(), (x, w, a, bt, bias) => mtloraLinear(x!, null,
    { w: w!, a: concat([a!, a!], 0), bt: concat([bt!, bt!], 0), bias: bias! },
    { ranks: [rank, rank], scales: [1, 1] },
  ), adapted(m, n, k, rank), [[1, m, k], [n, k], [rank, k], [rank, n], [n]],
  { around: byTile, halves: [0, 1], fixed: [1], tolerance: 1e-3, gradTolerance: 2e-3 });
});

function variantOf(device: Gpu, x: 'f32' | 'f16', w: 'f32' | 'f16', m = 64): string {
  const { program } = trace(device, 'product', () => byTile(() =>
    linear(empty([m, 64], 'x', x), empty([64, 64], 'w', w), null)));
  return program.dispatches[0]!.variant.split(' ')[0]!;
}

test('mtloraLinear() takes the matrix units for halves', () => {
  const able = { ...gpu(), subgroupSize: 32, matrices: [{ m: 16, n: 16, k: 16 }] };
  const { program } = trace(able, 'adapted', () => byTile(() => {
    const [w, a, bt] = [empty([64, 96], 'w', 'f16'), empty([8, 96], 'a'), empty([8, 64], 'bt')];
    mtloraLinear(empty([1, 64, 96], 'x', 'f16'), null, { w, a, bt, bias: null }, { ranks: [8], scales: [1] });
  }));
  expect(program.dispatches.at(-1)!.path).toBe('mtlora_matrix/forward');
});

test('linear() takes the matrix units for products of halves that are worth it', () => {
  const able = { ...gpu(), subgroupSize: 32, matrices: [{ m: 16, n: 16, k: 48 }, { m: 16, n: 8, k: 16 }] };
  expect(variantOf(able, 'f16', 'f16')).toBe('matmul_matrix');
  expect(variantOf(able, 'f16', 'f32')).toBe('matmul_matrix');
  expect(variantOf(able, 'f32', 'f32')).toBe('matmul_tile');
  expect(variantOf(able, 'f16', 'f16', 31)).toBe('matmul_tile');
  expect(variantOf({ ...able, matrices: [] }, 'f16', 'f16')).toBe('matmul_tile');
});
