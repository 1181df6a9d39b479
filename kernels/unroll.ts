// What the generators of unrolled kernels share.

export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
export const lines = (count: number, line: (i: number) => string): string =>
  range(count).map(line).join('\n');
