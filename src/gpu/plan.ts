import { GpuError } from './errors.ts';
import type { Program } from './program.ts';
import type { Storage } from './storage.ts';

/** A buffer that serves one transient after another. */
type Slot = { readonly bytes: number; readonly tenants: readonly Storage[] };

/** Where a program's transients go, and what that costs. */
export type Plan = {
  readonly slots: readonly Slot[];
  /** What stays readable after the program ran. */
  readonly kept: ReadonlySet<Storage>;
  readonly tensors: number;
  /** Bytes that the slots take. */
  readonly peakBytes: number;
  /** Bytes of all transients, as if none shared a buffer. */
  readonly totalBytes: number;
  /** What lives while most bytes are in use, the largest first, each with the launch that makes it. */
  readonly atPeak: readonly { readonly storage: Storage; readonly madeBy: string }[];
  readonly dispatches: number;
  readonly flops: number;
  readonly trafficBytes: number;
};

/**
 * Assigns transients to slots by liveness: a slot whose tenant is used no more serves the next one.
 *
 * A launch's inputs and outputs live at once while it runs, so that no buffer is bound twice in one launch.
 */
export function planProgram(program: Program): Plan {
  const { dispatches } = program;
  const life = lifetimes(program);
  const transients = [...life.keys()];
  const slots = assign(life);
  const peak = peakOf(life, dispatches.length);
  return {
    slots,
    kept: program.kept,
    tensors: transients.length,
    peakBytes: sum(slots.map(({ bytes }) => bytes)),
    totalBytes: sum(transients.map(({ bytes }) => bytes)),
    atPeak: transients.filter((storage) => lives(life.get(storage)!, peak))
      .sort((a, b) => b.bytes - a.bytes)
      .map((storage) => ({ storage, madeBy: dispatches[life.get(storage)!.first]!.label })),
    dispatches: dispatches.length,
    flops: sum(dispatches.map(({ flops }) => flops)),
    trafficBytes: sum(dispatches.map(({ bytes }) => bytes)),
  };
}

/** The plan in lines for a person, with as many of the tensors that make up its peak as `largest` says. */
export function describePlan(label: string, plan: Plan, { largest = 0 } = {}): string[] {
  const { tensors, dispatches, flops, trafficBytes, totalBytes, peakBytes, slots, atPeak } = plan;
  return [
    `${label}: ${dispatches} dispatches, ${(flops / 1e9).toFixed(2)} GFLOP, ${mib(trafficBytes)} moved`,
    `${label}: ${tensors} tensors of ${mib(totalBytes)} in ${slots.length} buffers of ${mib(peakBytes)} `
      + '(peak)',
    ...atPeak.slice(0, largest).map(({ storage, madeBy }) =>
      `${label}: at the peak ${mib(storage.bytes)} of "${storage.label}" by ${madeBy}`),
  ];
}

type Life = { readonly first: number; last: number };

const lives = ({ first, last }: Life, at: number): boolean => first <= at && at <= last;

function lifetimes({ dispatches, kept }: Program): Map<Storage, Life> {
  const life = new Map<Storage, Life>();
  dispatches.forEach(({ uses, label }, at) => {
    for (const { storage, access, name } of uses) {
      if (storage.place) continue;
      const known = life.get(storage);
      if (known) {
        known.last = at;
      } else if (access === 'read_write') {
        life.set(storage, { first: at, last: at });
      } else {
        throw new GpuError(`${label}: "${name}" (${storage.label}) is read before it is written`);
      }
    }
  });
  for (const storage of kept) {
    const known = life.get(storage);
    if (known) known.last = dispatches.length;
    else if (!storage.place) throw new GpuError(`${storage.label}: is kept, but nothing writes it`);
  }
  return life;
}

// The largest first, which opens a slot of its size; each later one fits in every slot, and takes the
// smallest whose tenants it never meets.
function assign(life: ReadonlyMap<Storage, Life>): Slot[] {
  const slots: { bytes: number; tenants: Storage[]; lives: Life[] }[] = [];
  for (const [storage, own] of [...life].sort(([a], [b]) => b.bytes - a.bytes)) {
    const apart = (other: Life): boolean => other.last < own.first || own.last < other.first;
    let slot = slots.findLast(({ lives }) => lives.every(apart));
    if (!slot) slots.push(slot = { bytes: storage.bytes, tenants: [], lives: [] });
    slot.tenants.push(storage);
    slot.lives.push(own);
  }
  return slots;
}

// the dispatch at which the bytes of what lives are most
function peakOf(life: ReadonlyMap<Storage, Life>, dispatches: number): number {
  const change = new Float64Array(dispatches + 2);
  for (const [{ bytes }, { first, last }] of life) {
    change[first]! += bytes;
    change[last + 1]! -= bytes;
  }
  let [peak, most, live] = [0, 0, 0];
  change.forEach((by, at) => {
    live += by;
    if (live > most) [peak, most] = [at, live];
  });
  return peak;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
