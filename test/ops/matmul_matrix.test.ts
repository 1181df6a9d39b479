import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { empty } from '../../src/autograd/tensor.ts';
import { withKernelForm } from '../../src/ops/kernel_form.ts';
import { linear } from '../../src/ops/matmul.ts';
import { withMatrices } from '../../src/ops/matmul_matrix.ts';
import { useGpu } from '../support/gpu.ts';
import { linearDefinition } from '../support/linear.ts';

const gpu = useGpu();

// what lavapipe has from Mesa 26.1 on
const SHAPE = { m: 8, n: 8, k: 8 };
const hasMatrices = (): boolean => gpu().features.has('chromium-experimental-subgroup-matrix');
const inHalves = <T>(body: () => T): T => withKernelForm('tile', () => withMatrices(SHAPE, body));

// a tile, past it in all directions and unaligned, runs of k in the forward and in the weight's gradient
for (const [m, n, k] of [[128, 64, 32], [133, 70, 45], [130, 97, 700], [700, 96, 64]] as const) {
  test(`linear() by matrices agrees with its definition at ${m} x ${k} -> ${n}`, (context) => {
    context.skip(!hasMatrices(), 'this device has no subgroup matrices');
    // f16 has 11 bits: factors are off by 2e-4
    return gradcheck(gpu(), (x, w, b) => linear(x!, w!, b!), linearDefinition(m, n, k, 1),
      [[m, k], [n, k], [n]], { around: inHalves, tolerance: 1e-3, gradTolerance: 1e-3 });
  });
}

test('linear() says that a device without subgroup matrices has no half precision', async (context) => {
  context.skip(hasMatrices(), 'this device has them');
  await expect(evaluate(gpu(), () => inHalves(() => [linear(empty([64, 64]), empty([64, 64]), null)])))
    .rejects.toThrow('matmul: half precision needs subgroup matrices, which this device does not have');
});
