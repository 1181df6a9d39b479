import { expect, test } from 'vitest';
import { gradcheck, normals, type Definition } from '../../../src/autograd/gradcheck.ts';
import { evaluate } from '../../../src/autograd/run.ts';
import { size } from '../../../src/autograd/shape.ts';
import { empty, lasting, release } from '../../../src/autograd/tensor.ts';
import { withKernelForm } from '../../../src/ops/kernel_form.ts';
import { crossEntropy } from '../../../src/ops/losses/cross_entropy.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();

/** Labels that include every class, and 255 at every fifth pixel. */
const labelsOf = (pixels: number, classes: number): Float32Array =>
  Float32Array.from({ length: pixels }, (_, i) => i % 5 === 4 ? 255 : (7 * i + 3) % classes);

const definition = (classes: number): Definition => (x, labels) => {
  let sum = 0;
  let count = 0;
  labels!.forEach((label, pixel) => {
    if (label === 255) return;
    const row = x!.subarray(pixel * classes, (pixel + 1) * classes);
    const top = Math.max(...row);
    sum += top + Math.log(row.reduce((s, v) => s + Math.exp(v - top), 0)) - row[label]!;
    count += 1;
  });
  return Float64Array.of(count ? sum / count : 0);
};

for (const shape of [[1, 1, 1, 1], [1, 1, 3, 2], [2, 5, 7, 21], [1, 7, 7, 40], [3, 11, 13, 7]]) {
  const classes = shape[3]!;
  test(`crossEntropy() agrees with its definition at [${shape.join(', ')}]`, () =>
    gradcheck(
      gpu(), (x, labels) => crossEntropy(x!, labels!), definition(classes), [shape, shape.slice(0, 3)],
      { values: [null, labelsOf(size(shape.slice(0, 3)), classes)], fixed: [1] },
    ));
}

// an odd and an even number of classes, past a workgroup of pixels, and so many that a smaller one is taken
for (const shape of [[3, 11, 13, 7], [1, 3, 50, 40]]) {
  const classes = shape[3]!;
  test(`crossEntropy() agrees with its definition in tile form at [${shape.join(', ')}]`, () =>
    gradcheck(
      gpu(), (x, labels) => crossEntropy(x!, labels!), definition(classes), [shape, shape.slice(0, 3)],
      {
        values: [null, labelsOf(size(shape.slice(0, 3)), classes)], fixed: [1],
        around: (body) => withKernelForm('tile', body),
      },
    ));
}

test('crossEntropy() agrees with its definition where a thread has many pixels', () => {
  const labels = labelsOf(130 * 130, 3);
  return gradcheck(gpu(), (x, l) => crossEntropy(x!, l!), definition(3), [[1, 130, 130, 3], [1, 130, 130]], {
    values: [null, labels], fixed: [1],
  });
});

test('crossEntropy() keeps its digits at logits of ±200', () => {
  const random = normals(3);
  const values = Float32Array.from({ length: 30 * 5 }, () => 100 * Math.max(-2, Math.min(2, random())));
  return gradcheck(gpu(), (x, l) => crossEntropy(x!, l!), definition(5), [[1, 5, 6, 5], [1, 5, 6]], {
    values: [values, labelsOf(30, 5)], fixed: [1],
  });
});

test('crossEntropy() is NaN where a label is neither a class nor 255', async () => {
  for (const wrong of [3, 254, -1]) {
    const x = lasting(gpu(), 'x', [1, 1, 2, 3], [1, 2, 3, 4, 5, 6]);
    const labels = lasting(gpu(), 'labels', [1, 1, 2], [0, wrong]);
    const [loss] = await evaluate(gpu(), () => [crossEntropy(x, labels)]);
    expect(loss![0]).toBeNaN();
    release(gpu(), x);
    release(gpu(), labels);
  }
});

test('crossEntropy() names labels of another size', async () => {
  await expect(evaluate(gpu(), () => [crossEntropy(empty([2, 4, 4, 21]), empty([2, 4, 5]))]))
    .rejects.toThrow('crossEntropy: labels must be [2, 4, 4], got [2, 4, 5]');
});
