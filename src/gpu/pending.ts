import { rootOf, type Bound, type Storage } from './storage.ts';

/** Launches that are still to be traced, by what they write. Each takes itself out as it is made. */
export type Pending = Map<Storage, () => void>;

/** Has made what a launch on `buffers` would read or overwrite. */
export function settleFor(pending: Pending, buffers: readonly Bound[]): void {
  for (const [waiting, make] of pending) {
    if (buffers.some(({ storage }) => meets(rootOf(storage), waiting))) make();
  }
}

/** Has made what is left. */
export function settleAll(pending: Pending): void {
  for (const make of pending.values()) make();
}

// in the same buffer counts, as those who read a whole arena mean all that lies in it
function meets(a: Storage, b: Storage): boolean {
  return a === b || (a.place !== null && a.place.buffer === b.place?.buffer);
}
