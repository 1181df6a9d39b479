import { expect, test } from 'vitest';
import { evaluate } from '../../../src/autograd/run.ts';
import { lasting, release, write, type Tensor } from '../../../src/autograd/tensor.ts';
import { adamw } from '../../../src/ops/optim/adamw.ts';
import { BLOCK, FLAGS } from '../../../src/ops/optim/arena.ts';
import { gradNorm } from '../../../src/ops/optim/grad_norm.ts';
import { lossScale, lossScaleOf, scaledSeed, setLossScale } from '../../../src/ops/optim/loss_scale.ts';
import { sgd } from '../../../src/ops/optim/sgd.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();

const arena = (label: string, fill = 0): Tensor => lasting(gpu(), label, [BLOCK], Array(BLOCK).fill(fill));

/** A parameter block under one optimizer, whose gradients come times a scale. */
function open(scale: number, goodSteps = 0) {
  const grads = arena('grads');
  const flags = lasting(gpu(), 'flags', [1], [FLAGS.update], 'u32');
  const skipped = lasting(gpu(), 'skipped', [1], [0], 'u32');
  const scaling = lossScale(gpu(), { scale, goodSteps });
  const state = { values: arena('values', 1), expAvg: arena('m'), expAvgSq: arena('v') };
  return { grads, flags, skipped, scaling, ...state };
}

type Open = ReturnType<typeof open>;

async function step(
  { grads, flags, skipped, scaling, ...state }: Open, gradient: number, { interval = 2000, clip = 0 } = {},
) {
  write(gpu(), grads, Array(BLOCK).fill(gradient));
  const read = await evaluate(gpu(), () => {
    const norm = gradNorm([{ grads, flags }], skipped, { scaling, interval });
    adamw({ grads, flags, ...state }, norm, { weightDecay: 0, clip });
    return [norm, scaling, skipped, ...Object.values(state)];
  }, { lr: 0.1, correction1: 0.1, correction2: 0.001 });
  const [norm, moved, left, values, expAvg, expAvgSq] = read as [Float32Array, ...Float32Array[]];
  return {
    norm: norm[0]!, scale: lossScaleOf(moved!.buffer as ArrayBuffer),
    skipped: new Uint32Array(left!.buffer)[0], state: [values![0], expAvg![0], expAvgSq![0]],
  };
}

const freeAll = (opened: Open): void => {
  for (const tensor of Object.values(opened)) release(gpu(), tensor);
};

test('gradNorm() of a scaled loss is that of its gradients, and the optimizer unscales them', async () => {
  const [scaled, plain] = [open(1024), open(1)];
  const [got, want] = [await step(scaled, 0.25 * 1024), await step(plain, 0.25)];
  expect(got.norm).toBe(2);
  expect(got.state).toEqual(want.state);
  expect(got.scale).toEqual({ scale: 1024, goodSteps: 1 });
  const clipped = await step(scaled, 0.25 * 1024, { clip: 1 });
  expect(clipped.state).toEqual((await step(plain, 0.25, { clip: 1 })).state);
  freeAll(scaled);
  freeAll(plain);
});

test.each([Infinity, NaN])('gradNorm() halves the scale where a gradient is %s', async (bad) => {
  const opened = open(65536, 1999);
  const { skipped, state, scale } = await step(opened, bad);
  expect([skipped, state, scale]).toEqual([1, [1, 0, 0], { scale: 32768, goodSteps: 0 }]);
  expect((await step(opened, 1)).scale).toEqual({ scale: 32768, goodSteps: 1 });
  freeAll(opened);
});

test('gradNorm() doubles the scale after so many good steps in a row, up to 2^24', async () => {
  const opened = open(2 ** 22);
  const scales = [];
  for (const gradient of [1, 1, 1, NaN, 1, 1, 1, 1, 1, 1, 1, 1, 1]) {
    scales.push(Math.log2((await step(opened, gradient, { interval: 3 })).scale.scale));
  }
  expect(scales).toEqual([22, 22, 23, 22, 22, 22, 23, 23, 23, 24, 24, 24, 24]);
  freeAll(opened);
});

test('sgd() unscales gradients before weight decay', async () => {
  const values = await Promise.all([[512, 512 * 0.5], [1, 0.5]].map(async ([scale, gradient]) => {
    const { grads, flags, skipped, scaling, values, expAvg: momentum, expAvgSq } = open(scale!);
    write(gpu(), grads, Array(BLOCK).fill(gradient));
    const [moved] = await evaluate(gpu(), () => {
      sgd({ values, grads, momentum, flags }, gradNorm([{ grads, flags }], skipped, { scaling }));
      return [values];
    }, { lr: 0.1 });
    for (const tensor of [grads, flags, skipped, scaling, values, momentum, expAvgSq]) release(gpu(), tensor);
    return moved![0];
  }));
  expect(values[0]).toBe(values[1]);
  expect(values[0]).toBeLessThan(1);
});

test('scaledSeed() is the scale of now', async () => {
  const scaling = lossScale(gpu());
  const seed = async (): Promise<number> => (await evaluate(gpu(), () => [scaledSeed(scaling)]))[0]![0]!;
  expect(await seed()).toBe(65536);
  setLossScale(gpu(), scaling, { scale: 0.5, goodSteps: 7 });
  expect(await seed()).toBe(0.5);
  release(gpu(), scaling);
});
