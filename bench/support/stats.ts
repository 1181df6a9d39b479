export type Spread = {
  readonly min: number;
  readonly median: number;
  /** Half of the distance between the quartiles, as a share of the median. */
  readonly spread: number;
};

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => {
    const place = share * (sorted.length - 1);
    const [low, high] = [sorted[Math.floor(place)]!, sorted[Math.ceil(place)]!];
    return low + (high - low) * (place % 1);
  };
  return { min: sorted[0]!, median: at(0.5), spread: (at(0.75) - at(0.25)) / 2 / at(0.5) };
}

export const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
