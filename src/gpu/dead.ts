import type { Dispatch, Program } from './program.ts';
import { rootOf } from './storage.ts';

/**
 * Removes dispatches that nobody sees: those that write only transients which no later dispatch reads and
 * nobody keeps. A traced model may compute a stream that nothing uses, or run a part again of which half is
 * needed.
 */
export function dropDeadDispatches({ dispatches, kept }: Program): void {
  const wanted = new Set([...kept].map(rootOf));
  const live: Dispatch[] = [];
  for (const dispatch of dispatches.toReversed()) {
    const seen = dispatch.uses.some(({ access, storage }) =>
      access === 'read_write' && (storage.place !== null || wanted.has(rootOf(storage))));
    if (!seen) continue;
    live.push(dispatch);
    for (const { storage } of dispatch.uses) wanted.add(rootOf(storage));
  }
  dispatches.splice(0, dispatches.length, ...live.reverse());
}
