/** What waits of a kind take, by the latest of them. */
export type Habit = { ms: number };

type Wait = { readonly since: number; readonly habit: Habit };

// at the end of a wait, and where one has long to go
const NAP_MS = 2;
const LONG_NAP_MS = 10;

const cell = new Int32Array(new SharedArrayBuffer(4));
const waits = new Set<Wait>();
let sleeping = false;

/**
 * Awaits a promise of the device without burning a core.
 *
 * Dawn for Node polls in a `setImmediate` loop while one of its promises is pending, which on a small machine
 * halves a software driver. Sleeping between the polls gives that core back. Sleeps grow with the time that
 * is waited, so short work is seen at once and long work costs no more than 2 ms at its end. As a poll still
 * takes time from the driver, and from all of its cores if one has to wait for another, there are few for as
 * long as the latest wait of that habit took.
 */
export async function settled<T>(promise: Promise<T>, habit: Habit = { ms: 0 }): Promise<T> {
  const wait = { since: performance.now(), habit };
  waits.add(wait);
  if (!sleeping) void sleepBetweenPolls();
  try {
    return await promise;
  } finally {
    waits.delete(wait);
    habit.ms = performance.now() - wait.since;
  }
}

// one loop for all promises: the sleeps of many would add up
async function sleepBetweenPolls(): Promise<void> {
  sleeping = true;
  await new Promise(setImmediate);
  while (waits.size > 0) {
    const now = performance.now();
    Atomics.wait(cell, 0, 0, Math.min(...Array.from(waits, (wait) => napOf(wait, now))));
    await new Promise(setImmediate);
  }
  sleeping = false;
}

function napOf({ since, habit }: Wait, now: number): number {
  const ms = now - since;
  return Math.max(Math.min(NAP_MS, 0.05 + ms / 50), Math.min(LONG_NAP_MS, 0.95 * habit.ms - ms));
}
