import type { Dispatch } from './program.ts';
import { rootOf, type Storage } from './storage.ts';

/** The first and the last launch that use a tensor. */
export type Life = { readonly first: number; last: number };

/** A tensor's place in a slot, from byte `at` on. */
export type Tenant = { readonly storage: Storage; readonly at: number };

/** A buffer that tensors share: one after another, and side by side where they fit. */
export type Slot = { readonly bytes: number; readonly tenants: readonly Tenant[] };

type Open = { readonly bytes: number; readonly tenants: Tenant[] };

// what goes first fits best: by bytes · launches^power, from the largest to what is large for long, and some
// by chance before what is a little larger; which order packs best differs from program to program
const POWERS = [0, 0.2, 0.3, 0.35, 0.4];
const SHUFFLES = 6;
const CHANCE = 0.3;
const GOLDEN = (Math.sqrt(5) - 1) / 2;

/**
 * Puts each tensor, in the best of some orders, into the smallest gap that stays free while it lives, or,
 * where there is none, into a slot of its own size.
 *
 * WebGPU forbids a launch to read and write one buffer, even in two ranges: what one launch reads and another
 * tensor that it writes are never in one slot while both live.
 *
 * @param alignment of a tensor's first byte
 */
export function assignSlots(
  lives: ReadonlyMap<Storage, Life>, dispatches: readonly Dispatch[], alignment: number,
): Slot[] {
  const barred = barredPairs(dispatches);
  const found = POWERS.flatMap((power) => Array.from({ length: SHUFFLES }, (_, shuffle) => {
    const weighed = [...lives].map((each, i) =>
      ({ each, weight: weightOf(each, power) * chanceOf(i, shuffle) }));
    weighed.sort((a, b) => b.weight - a.weight);
    return fill(new Map(weighed.map(({ each }) => each)), barred, alignment);
  }));
  return found.reduce((best, slots) => bytesOf(slots) < bytesOf(best) ? slots : best);
}

const weightOf = ([{ bytes }, { first, last }]: readonly [Storage, Life], power: number): number =>
  bytes * (last - first + 1) ** power;

/** 1 in the first shuffle; in others a number of 1 ± CHANCE, always the same for an i. */
const chanceOf = (i: number, shuffle: number): number =>
  shuffle === 0 ? 1 : 1 + CHANCE * (2 * (i * shuffle * GOLDEN % 1) - 1);

const bytesOf = (slots: readonly Slot[]): number => slots.reduce((sum, { bytes }) => sum + bytes, 0);

function fill(
  lives: ReadonlyMap<Storage, Life>, barred: ReadonlyMap<Storage, ReadonlySet<Storage>>, alignment: number,
): Slot[] {
  const slots: Open[] = [];
  for (const [storage, own] of lives) {
    const meets = ({ storage: other }: Tenant): boolean => overlap(lives.get(other)!, own);
    let best: { slot: Open; at: number; room: number } | null = null;
    for (const slot of slots) {
      const met = slot.tenants.filter(meets);
      if (met.some((tenant) => barred.get(storage)?.has(tenant.storage))) continue;
      const gap = smallestGap(met, slot.bytes, storage.bytes, alignment);
      if (gap && (!best || gap.room <= best.room)) best = { slot, ...gap };
    }
    if (!best) slots.push((best = { slot: { bytes: storage.bytes, tenants: [] }, at: 0, room: 0 }).slot);
    best.slot.tenants.push({ storage, at: best.at });
  }
  return slots;
}

const overlap = (a: Life, b: Life): boolean => a.first <= b.last && b.first <= a.last;

/** Of each tensor those that a launch uses beside it, where the launch writes one of the two. */
function barredPairs(dispatches: readonly Dispatch[]): Map<Storage, Set<Storage>> {
  const barred = new Map<Storage, Set<Storage>>();
  const bar = (a: Storage, b: Storage): void => {
    const known = barred.get(a);
    if (known) known.add(b);
    else barred.set(a, new Set([b]));
  };
  for (const { uses } of dispatches) {
    for (const written of uses) {
      if (written.access !== 'read_write') continue;
      for (const { storage } of uses) {
        bar(rootOf(written.storage), rootOf(storage));
        bar(rootOf(storage), rootOf(written.storage));
      }
    }
  }
  return barred;
}

function smallestGap(
  tenants: readonly Tenant[], end: number, bytes: number, alignment: number,
): { at: number; room: number } | null {
  let best: { at: number; room: number } | null = null;
  let at = 0;
  const ordered = [...tenants].sort((a, b) => a.at - b.at);
  for (const next of [...ordered, { at: end, storage: { bytes: 0 } }]) {
    const room = next.at - at;
    if (room >= bytes && (!best || room < best.room)) best = { at, room };
    at = Math.max(at, Math.ceil((next.at + next.storage.bytes) / alignment) * alignment);
  }
  return best;
}
