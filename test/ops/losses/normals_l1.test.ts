import { expect, test } from 'vitest';
import { gradcheck, normals, type Definition } from '../../../src/autograd/gradcheck.ts';
import { evaluate } from '../../../src/autograd/run.ts';
import { backward } from '../../../src/autograd/tape.ts';
import { empty, lasting, release, trainable } from '../../../src/autograd/tensor.ts';
import { normalsL1 } from '../../../src/ops/losses/normals_l1.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();
// the absolute value has a kink: the definition is differenced over a step that seldom meets one
const epsilon = 1e-7;

/** Components from −1 to 1, and 255 at every seventh. */
function labelsOf(count: number): Float32Array {
  const random = normals(5);
  return Float32Array.from({ length: count }, (_, i) => i % 7 === 3 ? 255 : Math.tanh(random()));
}

const definition = (batch: number, area: number): Definition => (x, labels) => {
  let sum = 0;
  let count = 0;
  for (let pixel = 0; pixel < batch * area; pixel++) {
    const v = x!.subarray(3 * pixel, 3 * pixel + 3);
    const norm = Math.hypot(...v) + 1e-12;
    for (let j = 0; j < 3; j++) {
      const label = labels![(Math.floor(pixel / area) * 3 + j) * area + pixel % area]!;
      if (label === 255) continue;
      sum += Math.abs(v[j]! / norm - label);
      count += 1;
    }
  }
  return Float64Array.of(count ? sum / count : 0);
};

for (const [batch, height, width] of [[1, 1, 1], [2, 3, 5], [1, 7, 7], [3, 31, 37]] as const) {
  test(`normalsL1() agrees with its definition at [${batch}, ${height}, ${width}, 3]`, () => {
    const shapes = [[batch, height, width, 3], [batch, 3, height, width]];
    const labels = labelsOf(batch * 3 * height * width);
    return gradcheck(gpu(), (x, l) => normalsL1(x!, l!), definition(batch, height * width), shapes, {
      values: [null, labels], fixed: [1], epsilon,
    });
  });
}

test('normalsL1() of a zero vector has the gradient of x / eps, and no NaN', async () => {
  const x = trainable(lasting(gpu(), 'x', [1, 1, 1, 3], [0, 0, 0]));
  const labels = lasting(gpu(), 'labels', [1, 3, 1, 1], [0.5, -0.5, 255]);
  const [loss, dx] = await evaluate(gpu(), () => {
    const y = normalsL1(x, labels);
    return [y, backward([[y, null]]).get(x)!];
  });
  expect(loss![0]).toBe(0.5);
  expect([...dx!].map((v) => v * 1e-12)).toEqual([-0.5, 0.5, 0].map((v) => expect.closeTo(v, 6)));
  release(gpu(), x);
  release(gpu(), labels);
});

test('normalsL1() names labels of another layout', async () => {
  await expect(evaluate(gpu(), () => [normalsL1(empty([2, 4, 4, 3]), empty([2, 4, 4, 3]))]))
    .rejects.toThrow('normalsL1: labels must be [2, 3, 4, 4], got [2, 4, 4, 3]');
});
