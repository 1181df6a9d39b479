import { expect, test } from 'vitest';
import { expectClose } from '../../../src/autograd/gradcheck.ts';
import { evaluate } from '../../../src/autograd/run.ts';
import { backward } from '../../../src/autograd/tape.ts';
import { lasting, release, trainable, type Tensor } from '../../../src/autograd/tensor.ts';
import { hrnetHead, hrnetHeads } from '../../../src/mtlora/decoders/hrnet.ts';
import { concat } from '../../../src/ops/concat.ts';
import { reshape } from '../../../src/ops/elementwise.ts';
import { resizeBilinear } from '../../../src/ops/resize.ts';
import { checkHead, recordedState } from '../../support/decoder_fixture.ts';
import { channelsLast, loadFixture } from '../../support/fixtures.ts';
import type { GoldenTensor } from '../../support/golden_data.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();
const ZERO = ['last_layer.0.bias'];
// a map of one texel is a bias, too, where the batch is one image
const CASES = [['hrnet', ZERO], ['hrnet_odd', ZERO], ['hrnet_batch1', [...ZERO, 'x.2', 'x.3']]] as const;

for (const [name, zero] of CASES) {
  for (const mode of ['train', 'eval'] as const) {
    test(`hrnetHead() agrees with the recorded ${name} in ${mode}`, () =>
      checkHead(gpu(), hrnetHead, name, mode, recordedState(name), { tolerance: 5e-6, zero }));
  }
}

const TASKS = ['semseg', 'sal', 'normals'];
const STACKED = ['0.weight', '0.bias', '1.weight', '1.bias', '1.running_mean', '1.running_var'];

for (const mode of ['train', 'eval'] as const) {
  test(`hrnetHeads() runs three tasks at once as the recorded group_hrnet in ${mode}`, async () => {
    const golden = loadFixture('decoders', 'group_hrnet');
    const state = recordedState('group_hrnet');
    const own = (task: string, name: string) => state.get(`decoders.${task}.last_layer.${name}`)!;
    const made: Tensor[] = [];
    const place = (shape: readonly number[], data: Float32Array): Tensor => {
      made.push(lasting(gpu(), 'fixture', shape, data));
      return trainable(made.at(-1)!);
    };
    const stacked = Object.fromEntries(STACKED.map((name) => {
      const each = TASKS.map((task) => own(task, name));
      const data = Float32Array.from(each.flatMap((tensor) => [...tensor.data]));
      return [`last_layer.${name}`, place([TASKS.length, ...each[0]!.shape], data)];
    }));
    const last = TASKS.map((task) => {
      const [weight, bias] = [own(task, '3.weight'), own(task, '3.bias')];
      return { weight: place(weight.shape, weight.data), bias: place(bias.shape, bias.data) };
    });
    const features = [0, 1, 2, 3].map((i) => channelsLast(golden.tensor(`in.x.${i}`)));
    const xs = features.map(({ shape, data }) => place(shape, data));
    const dys = TASKS.map((task) => channelsLast(golden.tensor(`upstream.${task}`)))
      .map(({ shape, data }) => place(shape, data));
    const found = await evaluate(gpu(), () => {
      const wide = xs.map((x) => concat(TASKS.map(() => reshape(x, [1, ...x.shape])), 0));
      const ys = hrnetHeads(wide, stacked, last, { training: mode === 'train' })
        .map((y) => resizeBilinear(y, 20, 20));
      const gradients = backward(ys.map((y, i) => [y, dys[i]!]));
      const of = [...xs, stacked['last_layer.0.weight']!, ...last.map(({ weight }) => weight)];
      return [...ys, ...of.map((x) => gradients.get(x)!)];
    });
    const [after] = await evaluate(gpu(), () => [stacked['last_layer.1.running_var']!]);

    const want = (key: string): GoldenTensor => golden.tensor(`${mode}.${key}`);
    const each = (key: (task: string) => string): Float32Array =>
      Float32Array.from(TASKS.flatMap((task) => [...want(key(task)).data]));
    const ys = found.splice(0, TASKS.length);
    ys.forEach((y, t) => expectClose(TASKS[t]!, y, channelsLast(want(`out.${TASKS[t]}`)).data, 5e-6));
    found.splice(0, 4).forEach((dx, i) =>
      expectClose(`x.${i}`, dx, channelsLast(want(`grad.x.${i}`)).data, 5e-6));
    const weights = each((task) => `grad.decoders.${task}.last_layer.0.weight`);
    expectClose('0.weight', found.shift()!, weights, 5e-6);
    found.forEach((dw, t) =>
      expectClose(`3.weight ${t}`, dw, want(`grad.decoders.${TASKS[t]}.last_layer.3.weight`).data, 5e-6));
    const moved = mode === 'train' ? each((task) => `after.decoders.${task}.last_layer.1.running_var`)
      : Float32Array.from(TASKS.flatMap((task) => [...own(task, '1.running_var').data]));
    expectClose('running variance', after!, moved, 5e-6);
    for (const tensor of made) release(gpu(), tensor);
  });
}

test('hrnetHead() names the parameter that is missing', async () => {
  const x = lasting(gpu(), 'x', [1, 2, 2, 3]);
  await expect(evaluate(gpu(), () => [hrnetHead([x, x], {}, { training: false })]))
    .rejects.toThrow('hrnet: no parameter "last_layer.0.weight"');
  release(gpu(), x);
});
