const cell = new Int32Array(new SharedArrayBuffer(4));
let pending = 0;
let newestMs = 0;
let sleeping = false;

/**
 * Awaits a promise of the device without burning a core.
 *
 * Dawn for Node polls in a `setImmediate` loop while one of its promises is pending, which on a small machine
 * halves a software driver. Sleeping between the polls gives that core back. Sleeps grow with the time since
 * the newest promise came, so short work is seen at once and long work costs no more than 2 ms at its end.
 */
export async function settled<T>(promise: Promise<T>): Promise<T> {
  newestMs = performance.now();
  pending += 1;
  if (!sleeping) void sleepBetweenPolls();
  try {
    return await promise;
  } finally {
    pending -= 1;
  }
}

// one loop for all promises: the sleeps of many would add up
async function sleepBetweenPolls(): Promise<void> {
  sleeping = true;
  await new Promise(setImmediate);
  while (pending > 0) {
    Atomics.wait(cell, 0, 0, Math.min(2, 0.05 + (performance.now() - newestMs) / 50));
    await new Promise(setImmediate);
  }
  sleeping = false;
}
