import { expect, test } from 'vitest';
import { evaluate } from '../../../src/autograd/run.ts';
import { lasting, release } from '../../../src/autograd/tensor.ts';
import { segformerHead } from '../../../src/mtlora/decoders/segformer.ts';
import { checkHead, recordedState } from '../../support/decoder_fixture.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();

const withoutDropout: typeof segformerHead = (x, params, mode) =>
  segformerHead(x, params, mode, { dropout: 0 });

for (const mode of ['train', 'eval'] as const) {
  test(`segformerHead() agrees with the recorded one in ${mode}`, () =>
    checkHead(gpu(), withoutDropout, 'segformer', mode, recordedState('segformer'), {
      tolerance: 5e-6,
      zero: [1, 2, 3, 4].map((level) => `linear_c${level}.proj.bias`),
      unused: ['conv_seg.weight', 'conv_seg.bias'],
    }));
}

test('segformerHead() drops whole channels of an image, by the rate, and scales what it keeps', async () => {
  // no weight but the norm's shift of 1: each of the 64 channels is constant, and output k is channel k
  const width = 64;
  const identity = Float32Array.from({ length: width * width }, (_, i) => Number(i % (width + 1) === 0));
  const made = {
    weight: lasting(gpu(), 'w', [width, 1], new Float32Array(width).fill(1)),
    zero: lasting(gpu(), 'zero', [width]),
    one: lasting(gpu(), 'one', [width], new Float32Array(width).fill(1)),
    fuse: lasting(gpu(), 'fuse', [width, 4 * width]),
    identity: lasting(gpu(), 'identity', [width, width], identity),
    x: lasting(gpu(), 'x', [2, 3, 3, 1], new Float32Array(18).fill(1)),
  };
  const { weight, zero, one, fuse } = made;
  const params = {
    ...Object.fromEntries([1, 2, 3, 4].flatMap((level) =>
      [[`linear_c${level}.proj.weight`, weight], [`linear_c${level}.proj.bias`, zero]])),
    'linear_fuse.conv.weight': fuse, 'linear_fuse.bn.weight': one, 'linear_fuse.bn.bias': one,
    'linear_fuse.bn.running_mean': lasting(gpu(), 'mean', [width]),
    'linear_fuse.bn.running_var': lasting(gpu(), 'variance', [width]),
    'linear_pred.weight': made.identity, 'linear_pred.bias': zero,
  };
  const [y] = await evaluate(gpu(), () =>
    [segformerHead(Array(4).fill(made.x), params, { training: true }, { dropout: 0.25 })], { seed: 3 });
  const of = (image: number, channel: number): number[] =>
    Array.from({ length: 9 }, (_, pixel) => y![(image * 9 + pixel) * width + channel]!);
  const channels = Array.from({ length: 2 * width }, (_, i) => of(Math.floor(i / width), i % width));
  for (const values of channels) expect(new Set(values).size).toBe(1);
  const dropped = channels.filter(([value]) => value === 0).length;
  const kept = channels.filter(([value]) => Math.abs(value! - 4 / 3) < 1e-6).length;
  expect(kept + dropped).toBe(2 * width);
  expect(dropped).toBeGreaterThan(16);
  expect(dropped).toBeLessThan(48);
  for (const tensor of new Set([...Object.values(made), ...Object.values(params)])) release(gpu(), tensor);
});
