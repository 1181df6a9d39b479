/** A seeded source of random numbers; every draw of the generator goes through one, in a fixed order. */
export type Random = {
  /** Uniform in [0, 1). */
  unit(): number;
  between(low: number, high: number): number;
  /** Whole number in [0, count). */
  below(count: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** Standard normal, by Box and Muller. */
  normal(): number;
};

/** Mixes one more 32-bit key into a hash; an avalanche of two multiplications. */
function mix(hash: number, key: number): number {
  let h = Math.imul(hash ^ key, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A generator (xorshift over four words) whose stream is fixed by `keys`, e.g. seed, split and index. */
export function seededRandom(...keys: readonly number[]): Random {
  const hash = keys.reduce((h, key) => mix(h + 0x9e3779b9, key), 0x243f6a88);
  let [a, b, c, d] = [1, 2, 3, 4].map((word) => mix(hash, word * 0x9e3779b9) | 1) as [
    number,
    number,
    number,
    number,
  ];

  const unit = (): number => {
    const t = a ^ (a << 11);
    [a, b, c] = [b, c, d];
    d = d ^ (d >>> 19) ^ t ^ (t >>> 8);
    return (d >>> 0) / 4294967296;
  };
  const below = (count: number): number => Math.floor(unit() * count);
  for (let warm = 0; warm < 8; warm++) unit();

  return {
    unit,
    below,
    between: (low, high) => low + (high - low) * unit(),
    chance: (probability) => unit() < probability,
    pick: (items) => items[below(items.length)]!,
    normal: () => Math.sqrt(-2 * Math.log(1 - unit())) * Math.cos(2 * Math.PI * unit()),
  };
}
