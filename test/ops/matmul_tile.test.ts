import { test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { withKernelForm } from '../../src/ops/kernel_form.ts';
import { linear } from '../../src/ops/matmul.ts';
import { useGpu } from '../support/gpu.ts';
import { linearDefinition } from '../support/linear.ts';

const gpu = useGpu();

// aligned, by quads; past a tile and unaligned; narrow tiles, with runs of k in the forward and in the
// weight's gradient; a batch
const SHAPES = [[64, 64, 32, 1], [65, 97, 33, 1], [7, 21, 700, 3], [700, 21, 24, 1]] as const;

for (const [m, n, k, batch] of SHAPES) {
  test(`linear() by tiles agrees with its definition at ${batch} x ${m} x ${k} -> ${n}`, () => {
    const lead = batch > 1 ? [batch] : [];
    return gradcheck(gpu(), (x, w, b) => linear(x!, w!, b!), linearDefinition(m, n, k, batch),
      [[...lead, m, k], [...lead, n, k], [...lead, n]], { around: (body) => withKernelForm('tile', body) });
  });
}
