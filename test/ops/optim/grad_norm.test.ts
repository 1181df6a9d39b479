import { expect, test } from 'vitest';
import { expectClose, normals } from '../../../src/autograd/gradcheck.ts';
import { evaluate } from '../../../src/autograd/run.ts';
import { lasting, release, type Tensor } from '../../../src/autograd/tensor.ts';
import { adamw } from '../../../src/ops/optim/adamw.ts';
import { BLOCK, FLAGS } from '../../../src/ops/optim/arena.ts';
import { gradNorm } from '../../../src/ops/optim/grad_norm.ts';
import { sgd } from '../../../src/ops/optim/sgd.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();

const arenaOf = (label: string, values: Float32Array): Tensor =>
  lasting(gpu(), label, [values.length], values);
const flagsOf = (flags: readonly number[]): Tensor =>
  lasting(gpu(), 'flags', [flags.length], flags, 'u32');
const counter = (): Tensor => lasting(gpu(), 'skipped', [1], [0], 'u32');

function freeAll(...tensors: readonly Tensor[]): void {
  for (const tensor of tensors) release(gpu(), tensor);
}

for (const blocks of [1, 3, 65, 4099]) {
  test(`gradNorm() is the norm of the ${blocks} blocks that are updated`, async () => {
    const random = normals(7);
    const host = Float32Array.from({ length: blocks * BLOCK }, random);
    const flags = Array.from({ length: blocks }, (_, block) => block % 3);
    let squares = 0;
    host.forEach((g, i) => { squares += flags[Math.floor(i / BLOCK)] ? g * g : 0; });
    const [grads, marks, skipped] = [arenaOf('grads', host), flagsOf(flags), counter()];
    const [norm, count] = await evaluate(gpu(), () =>
      [gradNorm([{ grads, flags: marks }], skipped), skipped]);
    expectClose('norm', norm!.subarray(0, 1), [Math.sqrt(squares)], 5e-7);
    expect(norm![1]).toBe(1);
    expect(count![0]).toBe(0);
    freeAll(grads, marks, skipped);
  });
}

test('gradNorm() passes over what a frozen block holds', async () => {
  const host = new Float32Array(2 * BLOCK).fill(0.5, 0, BLOCK).fill(NaN, BLOCK);
  const [grads, flags, skipped] = [arenaOf('grads', host), flagsOf([FLAGS.update, FLAGS.frozen]), counter()];
  const [norm] = await evaluate(gpu(), () => [gradNorm([{ grads, flags }], skipped)]);
  expect(norm![0]).toBe(4);
  freeAll(grads, flags, skipped);
});

for (const poison of [NaN, Infinity, -Infinity, 3e38]) {
  test(`a gradient of ${poison} leaves the parameters and the optimizer's state as they are`, async () => {
    const start = (from: number): Float32Array =>
      Float32Array.from({ length: 3 * BLOCK }, (_, i) => from + i / 64);
    const host = start(0.25);
    host[BLOCK + 5] = poison;
    const grads = arenaOf('grads', host);
    const flags = flagsOf([FLAGS.decay, FLAGS.update, FLAGS.decay]);
    const skipped = counter();
    const [values, expAvg, expAvgSq] = [start(1), start(2), start(3)].map((data) => arenaOf('state', data));
    const read = await evaluate(gpu(), () => {
      const norm = gradNorm([{ grads, flags }], skipped);
      adamw({ values: values!, grads, expAvg: expAvg!, expAvgSq: expAvgSq!, flags }, norm);
      sgd({ values: values!, grads, momentum: expAvg!, flags }, norm);
      return [values!, expAvg!, expAvgSq!, skipped];
    }, { lr: 0.1, correction1: 0.1, correction2: 0.001 });
    expect(read.slice(0, 3)).toEqual([start(1), start(2), start(3)]);
    expect(new Uint32Array(read[3]!.buffer)[0]).toBe(1);
    freeAll(grads, flags, skipped, values!, expAvg!, expAvgSq!);
  });
}

test('gradNorm() counts what is skipped over many steps', async () => {
  const grads = arenaOf('grads', new Float32Array(BLOCK).fill(Infinity));
  const [flags, skipped] = [flagsOf([FLAGS.update]), counter()];
  for (let step = 0; step < 3; step++) await evaluate(gpu(), () => [gradNorm([{ grads, flags }], skipped)]);
  const [count] = await evaluate(gpu(), () => [gradNorm([{ grads, flags }], skipped), skipped].slice(1));
  expect(new Uint32Array(count!.buffer)[0]).toBe(4);
  freeAll(grads, flags, skipped);
});

test('gradNorm() names a range that is no whole number of blocks', async () => {
  const [grads, flags, skipped] = [arenaOf('grads', new Float32Array(100)), flagsOf([1, 1]), counter()];
  await expect(evaluate(gpu(), () => [gradNorm([{ grads, flags }], skipped)]))
    .rejects.toThrow('gradNorm: grads must be [128], got [100]');
  freeAll(grads, flags, skipped);
});
