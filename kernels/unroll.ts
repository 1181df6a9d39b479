// What the generators of unrolled kernels share.

export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
export const lines = (count: number, line: (i: number) => string): string =>
  range(count).map(line).join('\n');

/**
 * The `n`-th block of a kernel, which always runs, as its parameter `zero` is 0. Else the compiler moves sums
 * behind the loads that follow them, and keeps every product in memory until then.
 */
export const apart = (n: number, body: string): string => `      if (zero != ${n + 1}u) {\n${body}\n      }`;

/** A WGSL function of what all lanes of a subgroup hold, by a tree of shuffles: each gets the result. */
export const overLanes = (
  lanes: number, name: string, type: string, both: (a: string, b: string) => string,
): string => `fn ${name}(v: ${type}) -> ${type} {
  var all = v;
${lines(Math.log2(lanes), (i) => `  all = ${both('all', `subgroupShuffleXor(all, ${2 ** i}u)`)};`)}
  return all;
}`;
