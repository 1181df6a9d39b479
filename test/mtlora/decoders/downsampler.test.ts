import { test } from 'vitest';
import { expectClose } from '../../../src/autograd/gradcheck.ts';
import { evaluate } from '../../../src/autograd/run.ts';
import { backward } from '../../../src/autograd/tape.ts';
import { lasting, release, trainable } from '../../../src/autograd/tensor.ts';
import { downsample } from '../../../src/mtlora/decoders/downsampler.ts';
import { reshape } from '../../../src/ops/elementwise.ts';
import { channelsLast, loadFixture } from '../../support/fixtures.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();
const LEVELS = [0, 1, 2, 3];

for (const stacked of [false, true]) {
  test(`downsample() agrees with the recorded one${stacked ? ' on a task axis' : ''}`, async () => {
    const golden = loadFixture('decoders', 'downsampler');
    const lead = stacked ? [1] : [];
    const dys = LEVELS.map((i) => channelsLast(golden.tensor(`upstream.${i}`)))
      .map(({ shape, data }) => lasting(gpu(), 'dy', [...lead, ...shape], data));
    const xs = LEVELS.map((i) => {
      const { shape, data } = golden.tensor(`in.x.${i}`);
      return trainable(lasting(gpu(), 'x', [...dys[i]!.shape.slice(0, -1), shape[2]!], data));
    });
    const params = Object.fromEntries(LEVELS.map((i) => {
      const { shape, data } = golden.tensor(`param.downsample_${i}.weight`);
      return [`downsample_${i}.weight`, trainable(lasting(gpu(), 'w', [...lead, ...shape], data))];
    }));
    const found = await evaluate(gpu(), () => {
      const ys = downsample(xs, params);
      const gradients = backward(ys.map((y, i) => [reshape(y, dys[i]!.shape), dys[i]!]));
      return [...ys, ...[...xs, ...Object.values(params)].map((x) => gradients.get(x)!)];
    });
    LEVELS.forEach((i) => {
      expectClose(`output ${i}`, found[i]!, channelsLast(golden.tensor(`train.out.${i}`)).data, 1e-6);
      expectClose(`x.${i}`, found[4 + i]!, golden.tensor(`train.grad.x.${i}`).data, 1e-6);
      expectClose(`w ${i}`, found[8 + i]!, golden.tensor(`train.grad.downsample_${i}.weight`).data, 1e-6);
    });
    for (const tensor of [...xs, ...dys, ...Object.values(params)]) release(gpu(), tensor);
  });
}
