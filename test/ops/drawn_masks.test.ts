import { expect, test } from 'vitest';
import { evaluate } from '../../src/autograd/run.ts';
import { checkpoint } from '../../src/autograd/tape.ts';
import { philox } from '../../src/data/philox.ts';
import { keep, trace } from '../../src/gpu/program.ts';
import { drawnMask } from '../../src/ops/drawn_masks.ts';
import { dropMask, keepBits } from '../../src/ops/dropout.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();
const LIVE = { step: 3, seed: 9 };

const draw = (place: number, n: number, stream: number) =>
  philox([place, LIVE.step, n, 1], [LIVE.seed, stream]);

/** Whether the device keeps element `i` of a stream, after the definition of a mask of factors. */
const kept = (i: number, stream: number, rate: number): boolean =>
  draw(i >> 2, 0, stream)[i & 3]! >= Math.round(rate * 2 ** 32);

/** And of one of bits: its number has a bit of each of the 32 words of 8 draws, the first the highest. */
function keptBit(i: number, stream: number, rate: number): boolean {
  const words = Array.from({ length: 8 }, (_, n) => draw(i >> 5, n, stream)).flat();
  const number = words.reduce((so, word) => 2 * so + (word >>> (i & 31) & 1), 0);
  return number >= Math.round(rate * 2 ** 32);
}

test('drawnMask() draws masks of many sizes as if each were drawn by itself', async () => {
  const counts = [1, 31, 32, 33, 16_384, 16_385, 40_000, 7];              // a chunk is of 16,384 bits
  const read = await evaluate(gpu(), () => [
    ...counts.map((count) => keepBits('test', count, 0.3).bits),
    ...counts.map((count) => dropMask('test', [count], 0.2)),
  ], LIVE);
  counts.forEach((count, stream) => {
    const words = new Uint32Array(read[stream]!.buffer);
    const bits = Array.from({ length: count }, (_, i) => (words[i >> 5]! >>> (i & 31) & 1) === 1);
    expect(bits).toEqual(bits.map((_, i) => keptBit(i, stream, 0.3)));
    const other = counts.length + stream;
    expect([...read[other]!])
      .toEqual(bits.map((_, i) => kept(i, other, 0.2) ? Math.fround(1 / (1 - 0.2)) : 0));
  });
});

test.each([0.05, 0.5, 2 ** -20, 1 - 2 ** -20])('keepBits() drops a share of %d', async (rate) => {
  const count = 2 ** 20;
  const [bits] = await evaluate(gpu(), () => [keepBits('test', count, rate).bits], LIVE);
  const words = new Uint32Array(bits!.buffer);
  let dropped = 0;
  for (let i = 0; i < count; i++) dropped += 1 - (words[i >> 5]! >>> (i & 31) & 1);
  // five standard deviations of a binomial count, and one element where hardly any is drawn
  expect(Math.abs(dropped - rate * count)).toBeLessThan(5 * Math.sqrt(count * rate * (1 - rate)) + 1);
});

test('drawnMask() takes one launch a kind, before all others, and gives the same draw once', () => {
  const { program, result } = trace(gpu(), 'masks', () => {
    const [a, b] = [keepBits('test', 100, 0.1).bits, keepBits('test', 50, 0.1).bits];
    keep(a, b, dropMask('test', [5], 0.1));
    checkpoint('block', () => [dropMask('test', [5], 0.1)]);
    const draw = { stream: 0, threshold: Math.round(0.1 * 2 ** 32), factor: 1 / 0.9 };
    return { a, again: drawnMask('bits', 'test', [4], draw), b };
  });
  expect(program.dispatches.map(({ path }) => path))
    .toEqual(['drawn_masks/draw_bits', 'drawn_masks/draw_factors']);
  expect(result.again).toBe(result.a);
  expect(result.b.storage.within).toMatchObject({ at: 2048 });
});

test('drawnMask() starts another launch where a buffer of all masks could not be bound', () => {
  const limits = { ...gpu().limits, maxStorageBufferBindingSize: 4096 } as GPUSupportedLimits;
  const { program } = trace({ ...gpu(), limits }, 'masks', () => {
    for (let i = 0; i < 5; i++) keep(keepBits('test', 10, 0.1).bits);
  });
  expect(program.dispatches.map(({ grid }) => grid)).toEqual([[2, 1], [2, 1], [1, 1]]);
  expect(() => trace({ ...gpu(), limits }, 'masks', () => keepBits('test', 40_000, 0.1)))
    .toThrow('test mask: needs 6144 bytes in one binding, and this device allows 4096');
});
