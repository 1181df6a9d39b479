import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keyOf, philox, uniform } from '../../src/data/philox.ts';
import type { Counter, Key } from '../../src/data/philox.ts';

const hex = (words: string): number[] => words.split(' ').map((word) => parseInt(word, 16));

// The known answers that the authors of the generator publish.
test.each([
  ['00000000 00000000 00000000 00000000', '00000000 00000000', '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
  ['ffffffff ffffffff ffffffff ffffffff', 'ffffffff ffffffff', '408f276d 41c83b0e a20bc7c6 6d5451fd'],
  ['243f6a88 85a308d3 13198a2e 03707344', 'a4093822 299f31d0', 'd16cfe09 94fdcceb 5001e420 24126ea1'],
])('philox() of %s with key %s is %s', (counter, key, want) => {
  expect(philox(hex(counter) as unknown as Counter, hex(key) as unknown as Key)).toEqual(hex(want));
});

test('philox() agrees with its definition in whole numbers', () => {
  const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  fc.assert(fc.property(fc.tuple(u32, u32, u32, u32), fc.tuple(u32, u32), (counter, key) => {
    expect(philox(counter, key)).toEqual(reference(counter, key));
  }), { seed: 1 });
});

/** Ten rounds in 64-bit integers. */
function reference(counter: Counter, key: Key): number[] {
  let [c0, c1, c2, c3] = counter.map(BigInt) as [bigint, bigint, bigint, bigint];
  let [k0, k1] = key.map(BigInt) as [bigint, bigint];
  const low = (value: bigint): bigint => value & 0xffffffffn;
  for (let round = 0; round < 10; round++) {
    const [p0, p1] = [c0 * 0xd2511f53n, c2 * 0xcd9e8d57n];
    [c0, c1, c2, c3] = [(p1 >> 32n) ^ c1 ^ k0, low(p1), (p0 >> 32n) ^ c3 ^ k1, low(p0)];
    [k0, k1] = [low(k0 + 0x9e3779b9n), low(k1 + 0xbb67ae85n)];
  }
  return [c0, c1, c2, c3].map(Number);
}

test('uniform() stays below 1 and is exact in f32', () => {
  expect(uniform(0)).toBe(0);
  expect(uniform(0xffffffff)).toBe(1 - 2 ** -24);
  expect(Math.fround(uniform(0x12345678))).toBe(uniform(0x12345678));
});

test('uniform() of philox() has the mean and the variance of its distribution', () => {
  const values = Array.from({ length: 5000 }, (_, i) => philox([i, 0, 0, 0], keyOf(7)).map(uniform)).flat();
  const mean = values.reduce((a, b) => a + b) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  expect(Math.abs(mean - 1 / 2)).toBeLessThan(0.008); // four standard errors
  expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.003);
});

test('keyOf() splits a seed and refuses what is none', () => {
  expect(keyOf(2 ** 32 + 5)).toEqual([5, 1]);
  expect(() => keyOf(-1)).toThrow('seed must be a whole number from 0 to 2^53 − 1, got -1');
});
