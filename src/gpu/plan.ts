import { GpuError } from './errors.ts';
import type { Program } from './program.ts';
import type { Storage } from './storage.ts';

/** A buffer that serves one transient after another. */
export type Slot = { bytes: number; readonly tenants: Storage[] };

/** Where a program's transients go, and what that costs. */
export type Plan = {
  readonly slots: readonly Slot[];
  readonly slotOf: ReadonlyMap<Storage, Slot>;
  readonly tensors: number;
  /** Bytes that live at once at most: the sum of the slots. */
  readonly peakBytes: number;
  /** Bytes of all transients, as if none shared a buffer. */
  readonly totalBytes: number;
  readonly dispatches: number;
  readonly flops: number;
  readonly trafficBytes: number;
};

/**
 * Assigns transients to slots by liveness: a slot whose tenant was used for the last time serves the next one.
 *
 * Best fit by size; when none is large enough, the largest free slot grows, as nothing is allocated yet. A dispatch's
 * outputs are placed before its inputs are freed, so that no buffer is bound twice in one dispatch.
 */
export function planProgram(program: Program): Plan {
  const life = lifetimes(program);
  const slots: Slot[] = [];
  const free = new Set<Slot>();
  const slotOf = new Map<Storage, Slot>();
  program.dispatches.forEach((dispatch, at) => {
    const here = new Set(dispatch.uses.map(({ storage }) => storage));
    for (const storage of here) {
      if (life.get(storage)?.first !== at) continue;
      const slot = bestFit(free, storage.bytes) ?? newSlot(slots);
      free.delete(slot);
      slot.bytes = Math.max(slot.bytes, storage.bytes);
      slot.tenants.push(storage);
      slotOf.set(storage, slot);
    }
    for (const storage of here) {
      if (life.get(storage)?.last === at) free.add(slotOf.get(storage)!);
    }
  });
  const transients = [...life.keys()];
  return {
    slots, slotOf,
    tensors: transients.length,
    peakBytes: sum(slots.map(({ bytes }) => bytes)),
    totalBytes: sum(transients.map(({ bytes }) => bytes)),
    dispatches: program.dispatches.length,
    flops: sum(program.dispatches.map(({ flops }) => flops)),
    trafficBytes: sum(program.dispatches.map(({ bytes }) => bytes)),
  };
}

/** The plan in lines for a person. */
export function describePlan(label: string, plan: Plan): string[] {
  const { tensors, dispatches, flops, trafficBytes, totalBytes, peakBytes, slots } = plan;
  return [
    `${label}: ${dispatches} dispatches, ${(flops / 1e9).toFixed(2)} GFLOP, ${mib(trafficBytes)} moved`,
    `${label}: ${tensors} tensors of ${mib(totalBytes)} in ${slots.length} buffers of ${mib(peakBytes)} (peak)`,
  ];
}

type Life = { first: number; last: number };

function lifetimes({ dispatches, kept }: Program): Map<Storage, Life> {
  const life = new Map<Storage, Life>();
  dispatches.forEach(({ uses, label }, at) => {
    for (const { storage, access, name } of uses) {
      if (storage.place) continue;
      const known = life.get(storage);
      if (known) known.last = at;
      else if (access === 'read') throw new GpuError(`${label}: "${name}" (${storage.label}) is read before it is written`);
      else life.set(storage, { first: at, last: at });
    }
  });
  for (const storage of kept) {
    const known = life.get(storage);
    if (known) known.last = dispatches.length;
    else if (!storage.place) throw new GpuError(`${storage.label}: is kept, but nothing writes it`);
  }
  return life;
}

function bestFit(free: ReadonlySet<Slot>, bytes: number): Slot | null {
  let best: Slot | null = null;
  for (const slot of free) {
    if (best === null || better(slot.bytes, best.bytes, bytes)) best = slot;
  }
  return best;
}

// the smallest that fits, else the largest
function better(a: number, b: number, bytes: number): boolean {
  return a >= bytes ? b < bytes || a < b : b < bytes && a > b;
}

function newSlot(slots: Slot[]): Slot {
  const slot: Slot = { bytes: 0, tenants: [] };
  slots.push(slot);
  return slot;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
