import type { Range } from './memory.ts';

/**
 * Bytes that kernels read and write. `place` is where they lie: known from the start for what outlives programs, set
 * by the planner for what a program makes on its way.
 */
export type Storage = {
  readonly id: number;
  readonly label: string;
  readonly bytes: number;
  place: Range | null;
};

/** Whatever a kernel can be given: a tensor fits because it has a `storage`. */
export type Bound = { readonly storage: Storage };

let count = 0;

export function createStorage(label: string, bytes: number, place: Range | null): Storage {
  count += 1;
  return { id: count, label, bytes: Math.max(16, Math.ceil(bytes / 16) * 16), place };
}
