import { test } from 'vitest';
import { expectClose, normals } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { lasting, release } from '../../src/autograd/tensor.ts';
import { columnSums } from '../../src/ops/column_sums.ts';
import { withKernelForm } from '../../src/ops/kernel_form.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

function reference(x: Float32Array, groups: number, rows: number, columns: number): Float64Array {
  const y = new Float64Array(groups * columns);
  x.forEach((value, i) => {
    const group = Math.floor(i / (rows * columns));
    y[group * columns + i % columns]! += value;
  });
  return y;
}

const SHAPES = [[1, 1, 1], [3, 70, 36], [2, 2500, 33], [1, 5000, 1], [1, 2100, 4]] as const;

for (const form of ['plain', 'tile'] as const) {
  for (const [groups, rows, columns] of SHAPES) {
    test(`columnSums() adds up [${groups}, ${rows}, ${columns}] in ${form} form`, async () => {
      const values = Float32Array.from({ length: groups * rows * columns }, normals(rows));
      const x = lasting(gpu(), 'x', [groups, rows, columns], values);
      const [y] = await evaluate(gpu(), () =>
        [withKernelForm(form, () => columnSums(x, groups, rows, columns, [groups, columns]))]);
      expectClose('sums', y!, reference(values, groups, rows, columns), 2e-6);
      release(gpu(), x);
    });
  }
}
