import { z } from 'zod';
import { relL2 } from '../../autograd/gradcheck.ts';
import { toFloat32, type HostTensor } from '../../data/host_tensor.ts';

/** One comparison: how far a tensor or number computed here is from the golden one. */
export type Check = {
  /** File or case, then tensor. */
  readonly name: string;
  readonly maxAbs: number;
  /** ‖got − want‖ / ‖want‖, or what `rule` says instead. */
  readonly error: number;
  readonly bound: number;
  readonly pass: boolean;
  /** What is compared where it is not the relative L2 error. */
  readonly rule?: string;
};

/** A tensor by relative L2 error. */
export function compare(name: string, got: ArrayLike<number>, want: ArrayLike<number>, bound: number): Check {
  if (got.length !== want.length) {
    const rule = `got ${got.length} values, want ${want.length}`;
    return { name, maxAbs: Infinity, error: Infinity, bound, pass: false, rule };
  }
  const error = relL2(got, want);
  return { name, maxAbs: maxDifference(got, want), error, bound, pass: error <= bound };
}

/** A number by relative error, which for a golden 0 is the number itself. */
export function compareNumber(name: string, got: number, want: number, bound: number): Check {
  const error = Math.abs(got - want) / (Math.abs(want) || 1);
  return { name, maxAbs: Math.abs(got - want), error, bound, pass: error <= bound || Object.is(got, want) };
}

/** A number that has to be just this, for the reason that `rule` gives. */
export function exactly(name: string, got: number, want: number, rule?: string): Check {
  const error = Math.abs(got - want);
  return { name, maxAbs: error, error, bound: 0, pass: error === 0, ...rule === undefined ? {} : { rule } };
}

/** A tensor element by element: `share` of all within `bound`, and none beyond `limit`. */
export function compareElements(
  name: string, got: ArrayLike<number>, want: ArrayLike<number>,
  { bound, share, limit }: Record<'bound' | 'share' | 'limit', number>,
): Check {
  let within = 0;
  for (let i = 0; i < want.length; i++) if (Math.abs(got[i]! - want[i]!) <= bound) within += 1;
  const maxAbs = maxDifference(got, want);
  const rule = `${(100 * within / want.length).toFixed(2)} % within ${bound.toExponential(1)}, `
    + `largest ${maxAbs.toExponential(1)}`;
  const pass = got.length === want.length && within >= share * want.length && maxAbs <= limit;
  return { name, maxAbs, error: maxAbs, bound: limit, pass, rule };
}

/** What stands for a tensor that is too large to be written out. */
export const SUMMARY = z.strictObject({ sum: z.number(), abs: z.number(), l2: z.number() });

/** A tensor against its sums, or against all its values, which have nine digits. */
export function compareSummary(
  name: string, got: ArrayLike<number>, want: z.infer<typeof SUMMARY> | { values: readonly number[] },
  bound: number,
): Check {
  if ('values' in want) return compare(name, got, want.values, bound);
  const values = Array.from(got);
  const sum = values.reduce((total, value) => total + value, 0);
  const abs = values.reduce((total, value) => total + Math.abs(value), 0);
  const differences = [sum - want.sum, abs - want.abs];
  const maxAbs = Math.max(...differences.map(Math.abs));
  const length = Math.sqrt(values.reduce((total, value) => total + value * value, 0));
  const l2 = Math.abs(length - want.l2) / (want.l2 || 1);
  const error = Math.max(maxAbs / (want.abs || 1), l2);
  return { name, maxAbs, error, bound, pass: error <= bound };
}

/** Tensors that must be equal in every element, shape and kind of number. */
export function compareExact(name: string, got: HostTensor, want: HostTensor): Check {
  const same = got.dtype === want.dtype && got.shape.join() === want.shape.join();
  if (!same) {
    const describe = ({ dtype, shape }: HostTensor): string => `${dtype} [${shape.join(', ')}]`;
    return failure(name, new Error(`got ${describe(got)}, want ${describe(want)}`));
  }
  const differs = want.data.findIndex((value, i) => !Object.is(got.data[i], value));
  const maxAbs = differs < 0 ? 0 : maxDifference(toFloat32(got), toFloat32(want));
  const [mine, theirs] = [got.data[differs], want.data[differs]];
  const rule = differs < 0 ? 'equal' : `differs at ${differs}: got ${mine}, want ${theirs}`;
  return { name, maxAbs, error: maxAbs, bound: 0, pass: differs < 0, rule };
}

/** Equal lists, such as names. */
export function compareList(name: string, got: readonly unknown[], want: readonly unknown[]): Check {
  const differs = want.length !== got.length || want.some((value, i) => value !== got[i]);
  const first = want.findIndex((value, i) => value !== got[i]);
  const rule = differs
    ? `differs at ${first}: got ${String(got[first])}, want ${String(want[first])}`
    : `${want.length} equal`;
  return { name, maxAbs: Number(differs), error: Number(differs), bound: 0, pass: !differs, rule };
}

/** What could not be computed at all. */
export function failure(name: string, error: unknown): Check {
  return { name, maxAbs: Infinity, error: Infinity, bound: 0, pass: false, rule: (error as Error).message };
}

function maxDifference(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < want.length; i++) {
    const difference = Math.abs(got[i]! - want[i]!);
    if (!(difference <= most)) most = Number.isNaN(difference) ? Infinity : difference;
  }
  return most;
}
