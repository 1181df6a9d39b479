import { expect, test } from 'vitest';
import { expectClose, gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { backward } from '../../src/autograd/tape.ts';
import { lasting, release, trainable } from '../../src/autograd/tensor.ts';
import { resizeBilinear } from '../../src/ops/resize.ts';
import { bilinear } from '../support/bilinear.ts';
import { channelsLast, loadFixture } from '../support/fixtures.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

const CASES: [shape: [number, number, number, number], outH: number, outW: number][] = [
  [[1, 1, 1, 1], 1, 5], [[2, 3, 2, 4], 6, 4], [[1, 7, 7, 21], 56, 56], [[2, 5, 3, 1], 8, 12],
  [[1, 9, 7, 3], 4, 5], [[3, 4, 4, 8], 4, 4], [[2, 4, 6, 3], 4, 13], [[1, 2, 3, 4], 131, 1],
  [[1, 37, 5, 2], 3, 5],
  [[1, 3, 5, 2], 9, 35], [[2, 29, 1, 4], 58, 3],
];
for (const [shape, outH, outW] of CASES) {
  test(`resizeBilinear() agrees with its definition from [${shape.join(', ')}] to ${outH}×${outW}`, () =>
    gradcheck(gpu(), (x) => resizeBilinear(x!, outH, outW), (x) => bilinear(x!, shape, outH, outW), [shape]));
}

test('resizeBilinear() takes a task axis', () =>
  gradcheck(gpu(), (x) => resizeBilinear(x!, 4, 6), (x) => bilinear(x!, [6, 2, 3, 4], 4, 6),
    [[3, 2, 2, 3, 4]]));

test('resizeBilinear() takes [1, 2, 4] to [1, 1.25, 1.75, 2.5, 3.5, 4]', async () => {
  const x = lasting(gpu(), 'x', [1, 3, 1], [1, 2, 4]);
  const [y] = await evaluate(gpu(), () => [resizeBilinear(x, 1, 6)]);
  expect([...y!]).toEqual([1, 1.25, 1.75, 2.5, 3.5, 4]);
  release(gpu(), x);
});

const golden = loadFixture('decoders', 'interpolate');
const RECORDED = [
  '2x2_to_7x7', '7x7_to_28x28', '4x4_to_8x8', '1x1_to_4x4', '5x3_to_8x12', '8x8_to_32x32', '9x7_to_4x5',
];
for (const name of RECORDED) {
  test(`resizeBilinear() agrees with the recorded ${name}, forward and backward`, async () => {
    const field = (part: string) => channelsLast(golden.tensor(`bilinear.${name}.${part}`));
    const [want, grad] = [field('ref64.y'), field('ref64.grad')];
    const x = trainable(lasting(gpu(), 'x', field('x').shape, field('x').data));
    const dy = lasting(gpu(), 'dy', want.shape, field('upstream').data);
    const [y, dx] = await evaluate(gpu(), () => {
      const out = resizeBilinear(x, want.shape[1]!, want.shape[2]!);
      return [out, backward([[out, dy]]).get(x)!];
    });
    expectClose('y', y!, want.data, 1e-6);
    expectClose('dx', dx!, grad.data, 1e-6);
    for (const tensor of [x, dy]) release(gpu(), tensor);
  });
}
