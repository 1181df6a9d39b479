// The adapted layer's outputs and gradients in f64, at a few places: what every variant is held to.
import { ranksOf, SCALE, type HostInputs, type LoraCase } from './lora_case.ts';

export type Name = 'y' | 'dx' | 'da' | 'dbt';
export type Place = readonly [Name, number];

/** Places all over each result, the last value among them, the same in every run. */
export function placesOf(each: LoraCase, names: readonly Name[], count = 8): Place[] {
  const { m, k, n, tasks, own } = each;
  const rank = ranksOf(each).reduce((a, b) => a + b);
  const sizes = { y: (1 + tasks) * m * n, dx: (own ? 1 + tasks : 1) * m * k, da: rank * k, dbt: rank * n };
  return names.flatMap((name) => Array.from({ length: count }, (_, i): Place =>
    [name, i === 0 ? sizes[name] - 1 : Math.floor((i * 0.618034 % 1) * sizes[name])]));
}

/** What the result holds at each place. */
export function definition(each: LoraCase, inputs: HostInputs, places: readonly Place[]): number[] {
  const { m, k, n, own } = each;
  const { x, w, bias, a, bt, dy } = inputs;
  const branches = branchesOf(each);
  const input = (g: number, row: number, i: number): number => x[((own ? g : 0) * m + row) * k + i]!;
  const upstream = (g: number, row: number, c: number): number => dy[(g * m + row) * n + c]!;
  const down = (j: number, g: number, row: number): number =>
    SCALE * sumOver(k, (i) => input(g, row, i) * a[j * k + i]!);
  const back = (j: number, g: number, row: number): number =>
    SCALE * sumOver(n, (c) => upstream(g, row, c) * bt[j * n + c]!);
  const branchOf = (j: number): number => branches.findIndex(({ at, rank }) => j < at + rank);
  const rowsOf = ({ at, rank }: Branch): number[] => Array.from({ length: rank }, (_, j) => at + j);
  const at: Record<Name, (index: number) => number> = {
    y(index) {
      const [c, row, g] = [index % n, Math.floor(index / n) % m, Math.floor(index / n / m)];
      const base = bias[c]! + sumOver(k, (i) => input(0, row, i) * w[c * k + i]!);
      return base + sum(rowsOf(branches[g]!).map((j) => down(j, g, row) * bt[j * n + c]!));
    },
    dx(index) {
      const [i, row, g] = [index % k, Math.floor(index / k) % m, Math.floor(index / k / m)];
      const base = g > 0 ? 0
        : sum(branches.map((_, s) => sumOver(n, (c) => upstream(s, row, c) * w[c * k + i]!)));
      const low = branches.flatMap((branch, s) => (own ? s === g : true)
        ? rowsOf(branch).map((j) => back(j, s, row) * a[j * k + i]!) : []);
      return base + sum(low);
    },
    da(index) {
      const [i, j] = [index % k, Math.floor(index / k)];
      return sumOver(m, (row) => back(j, branchOf(j), row) * input(branchOf(j), row, i));
    },
    dbt(index) {
      const [c, j] = [index % n, Math.floor(index / n)];
      return sumOver(m, (row) => down(j, branchOf(j), row) * upstream(branchOf(j), row, c));
    },
  };
  return places.map(([name, index]) => at[name](index));
}

/** Largest difference at the places of a result, by the root mean square of what it should hold there. */
export function worstError(
  places: readonly Place[], got: readonly number[], want: readonly number[],
): number {
  const names = [...new Set(places.map(([name]) => name))];
  return Math.max(...names.map((name) => {
    const own = places.flatMap((place, i) => place[0] === name ? [i] : []);
    const size = Math.sqrt(sum(own.map((i) => want[i]! ** 2)) / own.length);
    return Math.max(...own.map((i) => Math.abs(got[i]! - want[i]!))) / size;
  }));
}

type Branch = { readonly at: number; readonly rank: number };

function branchesOf(each: LoraCase): Branch[] {
  let end = 0;
  return ranksOf(each).map((rank) => ({ at: (end += rank) - rank, rank }));
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function sumOver(count: number, term: (i: number) => number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += term(i);
  return total;
}
