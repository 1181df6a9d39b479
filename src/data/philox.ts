// Philox4x32-10 (Salmon et al., 2011): a counter-based generator. Random numbers are a pure function of a key
// and a counter, so nothing has to be saved, and neither order nor the number of workers matters.

export type Counter = readonly [number, number, number, number];
export type Key = readonly [number, number];

const [M0, M1] = [0xd2511f53, 0xcd9e8d57];
const [W0, W1] = [0x9e3779b9, 0xbb67ae85];
const ROUNDS = 10;

/** Four random u32 for four u32 of counter and two of key. */
export function philox([c0, c1, c2, c3]: Counter, [k0, k1]: Key): [number, number, number, number] {
  for (let round = 0; round < ROUNDS; round++) {
    const [high0, low0] = [multiplyHigh(M0, c0), Math.imul(M0, c0)];
    const [high1, low1] = [multiplyHigh(M1, c2), Math.imul(M1, c2)];
    [c0, c1, c2, c3] = [high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0];
    [k0, k1] = [(k0 + W0) | 0, (k1 + W1) | 0];
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
}

/** The upper 32 bits of a product of two u32, from four products of their halves. */
function multiplyHigh(a: number, b: number): number {
  const [aHigh, aLow, bHigh, bLow] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16);
  const carry = aLow * bHigh + (middle % 0x10000);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) | 0;
}

/** A u32 as a number in [0, 1), of the 24 bits that an f32 holds exactly. */
export function uniform(bits: number): number {
  return (bits >>> 8) * 2 ** -24;
}

/** A seed of up to 53 bits as a key. */
export function keyOf(seed: number): Key {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new Error(`seed must be a whole number from 0 to 2^53 − 1, got ${seed}`);
  }
  return [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
}
