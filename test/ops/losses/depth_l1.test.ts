import { expect, test } from 'vitest';
import { gradcheck, normals, type Definition } from '../../../src/autograd/gradcheck.ts';
import { evaluate } from '../../../src/autograd/run.ts';
import { size } from '../../../src/autograd/shape.ts';
import { empty } from '../../../src/autograd/tensor.ts';
import { depthL1 } from '../../../src/ops/losses/depth_l1.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();

/** Metres from 0 to 10, and 255 at every third pixel but the first. */
function labelsOf(count: number): Float32Array {
  const random = normals(6);
  return Float32Array.from({ length: count }, (_, i) => i % 3 === 2 ? 255 : 5 + 5 * Math.tanh(random()));
}

const definition: Definition = (x, labels) => {
  const valid = [...x!.keys()].filter((i) => labels![i] !== 255);
  const sum = valid.reduce((total, i) => total + Math.abs(x![i]! - labels![i]!), 0);
  return Float64Array.of(sum / Math.max(valid.length, 1));
};

for (const shape of [[1, 1, 1], [1, 1, 3], [2, 5, 7], [1, 49, 49], [3, 67, 129]]) {
  test(`depthL1() agrees with its definition at [${shape.join(', ')}]`, () =>
    gradcheck(gpu(), (x, l) => depthL1(x!, l!), definition, [[...shape, 1], shape], {
      // the absolute value has a kink: the definition is differenced over a step that seldom meets one
      values: [null, labelsOf(size(shape))], fixed: [1], epsilon: 1e-7,
    }));
}

test('depthL1() names logits of another size', async () => {
  await expect(evaluate(gpu(), () => [depthL1(empty([2, 4, 5, 1]), empty([2, 4, 4]))]))
    .rejects.toThrow('depthL1: logits must be [2, 4, 4, 1], got [2, 4, 5, 1]');
});
