import { GpuError } from './errors.ts';
import type { Program } from './program.ts';
import { assignSlots, type Life, type Slot } from './slots.ts';
import { rootOf, type Storage } from './storage.ts';

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

/** Assigns transients to slots by liveness: the bytes of what is used no more serve the next one. */
export function planProgram(program: Program): Plan {
  const { dispatches } = program;
  const life = lifetimes(program);
  const transients = [...life.keys()];
  const slots = assignSlots(life, dispatches, program.gpu.limits.minStorageBufferOffsetAlignment);
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

const lives = ({ first, last }: Life, at: number): boolean => first <= at && at <= last;

function lifetimes({ dispatches, kept }: Program): Map<Storage, Life> {
  const life = new Map<Storage, Life>();
  dispatches.forEach(({ uses, label }, at) => {
    for (const { storage: used, access, name } of uses) {
      const storage = rootOf(used);
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
  for (const storage of [...kept].map(rootOf)) {
    const known = life.get(storage);
    if (known) known.last = dispatches.length;
    else if (!storage.place) throw new GpuError(`${storage.label}: is kept, but nothing writes it`);
  }
  return life;
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
