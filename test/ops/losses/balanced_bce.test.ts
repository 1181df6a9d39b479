import { expect, test } from 'vitest';
import { gradcheck, normals, type Definition } from '../../../src/autograd/gradcheck.ts';
import { evaluate } from '../../../src/autograd/run.ts';
import { size } from '../../../src/autograd/shape.ts';
import { empty } from '../../../src/autograd/tensor.ts';
import { balancedBce } from '../../../src/ops/losses/balanced_bce.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();

const labelsOf = (pixels: number): Float32Array =>
  Float32Array.from({ length: pixels }, (_, i) => [0, 0.5, 0, 0.49, 1][i % 5]!);

const definition = (weight?: number): Definition => (x, labels) => {
  const w = weight ?? labels!.filter((label) => label < 0.5).length / labels!.length;
  return Float64Array.of(x!.reduce((sum, v, i) => {
    const positive = labels![i]! >= 0.5;
    const loss = Math.log1p(Math.exp(-Math.abs(v))) + Math.max(positive ? -v : v, 0);
    return sum + (positive ? w : 1 - w) * loss;
  }, 0) / x!.length);
};

for (const shape of [[1, 1, 1], [1, 1, 3], [2, 5, 7], [1, 49, 49], [3, 67, 129]]) {
  for (const weight of [undefined, 0.95]) {
    test(`balancedBce() of weight ${weight} agrees with its definition at [${shape.join(', ')}]`, () =>
      gradcheck(
        gpu(), (x, l) => balancedBce(x!, l!, { weight }), definition(weight), [[...shape, 1], shape],
        { values: [null, labelsOf(size(shape))], fixed: [1] },
      ));
  }
}

test('balancedBce() neither overflows nor cancels at logits of ±200', () => {
  const random = normals(4);
  const values = Float32Array.from({ length: 35 }, () => 100 * Math.max(-2, Math.min(2, random())));
  return gradcheck(gpu(), (x, l) => balancedBce(x!, l!), definition(), [[1, 5, 7, 1], [1, 5, 7]], {
    values: [values, labelsOf(35)], fixed: [1],
  });
});

test('balancedBce() names logits of another size', async () => {
  await expect(evaluate(gpu(), () => [balancedBce(empty([2, 4, 4, 2]), empty([2, 4, 4]))]))
    .rejects.toThrow('balancedBce: logits must be [2, 4, 4, 1], got [2, 4, 4, 2]');
});
