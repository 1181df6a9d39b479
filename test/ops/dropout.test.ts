import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { size } from '../../src/autograd/shape.ts';
import { backward } from '../../src/autograd/tape.ts';
import { empty, lasting, release, trainable } from '../../src/autograd/tensor.ts';
import { philox } from '../../src/data/philox.ts';
import type { Live } from '../../src/gpu/executable.ts';
import { dispatch } from '../../src/gpu/program.ts';
import { dropMask, dropout } from '../../src/ops/dropout.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();
const PROBE = `
struct Params { count: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<vec4u>;
@compute @workgroup_size(64)
fn words(@builtin(global_invocation_id) id: vec3u) {
  let i = id.x * 6u;
  if (id.x >= params.count) { return; }
  output[id.x] = philox(vec4u(input[i], input[i + 1u], input[i + 2u], input[i + 3u]),
                        vec2u(input[i + 4u], input[i + 5u]));
}
`;

test('philox() of the device gives the words of its twin on the host', async () => {
  const edges = [0, 1, 2, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xdeadbeef, 0xffffffff];
  const blocks = Array.from({ length: 200 }, (_, i) =>
    Array.from({ length: 6 }, (_, k) =>
      (edges[(i + k * (i % 7)) % 9]! + Math.imul(i >> 5, 0x9e3779b9)) >>> 0));
  const input = lasting(gpu(), 'input', [1200], blocks.flat(), 'u32');
  const library = readFileSync('kernels/lib/philox.wgsl', 'utf8');
  const [read] = await evaluate(gpu(), () => {
    const output = empty([800], 'words', 'u32');
    const generated = { key: 'philox probe', code: () => library + PROBE };
    dispatch('philox_probe/words', { input, output }, { threads: 200, params: { count: 200 }, generated });
    return [output];
  });
  const want = blocks.flatMap(([a, b, c, d, e, f]) => philox([a!, b!, c!, d!], [e!, f!]));
  expect([...new Uint32Array(read!.buffer)]).toEqual(want);
  release(gpu(), input);
});

/** What the device keeps of `count` elements, after the definition of the draw. */
function kept(count: number, rate: number, { step = 0, seed = 0 }: Live, stream: number): boolean[] {
  return Array.from({ length: count }, (_, i) =>
    philox([i >> 2, step, 0, 1], [seed, stream])[i & 3]! >= Math.round(rate * 2 ** 32));
}

for (const shape of [[1], [3, 7], [49, 96], [257]]) {
  for (const rate of [0.05, 0.5]) {
    test(`dropout() at rate ${rate} agrees with its definition at [${shape.join(', ')}]`, () => {
      const mask = kept(size(shape), rate, {}, 0);
      return gradcheck(gpu(), (x) => dropout(x!, rate, { training: true }),
        (x) => x!.map((v, i) => mask[i] ? v / (1 - rate) : 0), [shape]);
    });
  }
}

test('dropout() draws anew for every op, step and seed, and the same for the same', async () => {
  const run = (live: Live): Promise<Float32Array[]> => evaluate(gpu(), () =>
    [dropMask('test', [1001], 0.3), dropMask('test', [1001], 0.3)], live);
  const expected = (live: Live, stream: number): number[] =>
    kept(1001, 0.3, live, stream).map((yes) => yes ? Math.fround(1 / 0.7) : 0);
  const lives = [[0, 0], [1, 0], [0, 1], [7, 0xffffffff]].map(([step, seed]): Live =>
    ({ step: step!, seed: seed! }));
  const seen = new Set<string>();
  for (const live of lives) {
    const [first, second] = await run(live);
    expect([...first!]).toEqual(expected(live, 0));
    expect([...second!]).toEqual(expected(live, 1));
    expect(await run(live)).toEqual([first, second]);
    for (const mask of [first!, second!]) seen.add(mask.join());
  }
  expect(seen.size).toBe(8);
});

for (const rate of [0.05, 0.2, 0.5]) {
  test(`dropout() at rate ${rate} keeps mean and variance, and its streams and steps are apart`, async () => {
    const count = 1 << 18;
    const masks: Float32Array[] = [];
    for (const step of [0, 1]) {
      masks.push(...await evaluate(gpu(), () =>
        [dropMask('test', [count], rate), dropMask('test', [count], rate)], { step, seed: 11 }));
    }
    const variance = rate / (1 - rate);                     // of a mask's factors, whose mean is 1
    const deviation = Math.sqrt(variance / count);
    const sum = (of: (i: number) => number): number => {
      let total = 0;
      for (let i = 0; i < count; i++) total += of(i);
      return total;
    };
    masks.forEach((mask, k) => {
      expect(Math.abs(sum((i) => mask[i]!) / count - 1)).toBeLessThan(4 * deviation);
      expect(sum((i) => (mask[i]! - 1) ** 2) / count / variance).toBeCloseTo(1, 1.5);
      const others = [...masks.slice(k + 1), mask.slice(1), mask.slice(4)];
      for (const other of others) {
        const product = sum((i) => (mask[i]! - 1) * ((other[i] ?? 1) - 1)) / count;
        expect(Math.abs(product)).toBeLessThan(4.5 * variance / Math.sqrt(count));
      }
    });
  });
}

test('dropout() is the identity outside of training and at rate 0', async () => {
  const x = trainable(lasting(gpu(), 'x', [5], [1, 2, 3, 4, 5]));
  const read = await evaluate(gpu(), () => {
    const y = dropout(dropout(x, 0.5, { training: false }), 0, { training: true });
    return [y, backward([[y, null]]).get(x)!];
  });
  expect(read.map((values) => [...values])).toEqual([[1, 2, 3, 4, 5], [1, 1, 1, 1, 1]]);
  release(gpu(), x);
});

test('dropout() names a rate that keeps nothing', async () => {
  for (const rate of [1, -0.1, NaN]) {
    await expect(evaluate(gpu(), () => [dropout(empty([4]), rate, { training: true })]))
      .rejects.toThrow(`dropout: rate must be from 0 to below 1, got ${rate}`);
  }
});
