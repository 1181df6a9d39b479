const cell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Awaits a promise of the device without burning a core.
 *
 * Dawn for Node polls in a `setImmediate` loop while one of its promises is pending, which on a small machine
 * halves a software driver. Sleeping between the polls gives that core back. Sleeps grow with the time
 * already waited, so short work is seen at once and long work costs no more than 2 ms at its end.
 */
export async function settled<T>(promise: Promise<T>): Promise<T> {
  let done = false;
  const watched = promise.finally(() => { done = true; });
  watched.catch(() => undefined);                 // the caller sees it below: not "unhandled" in between
  const startMs = performance.now();
  await new Promise(setImmediate);
  while (!done) {
    const waitedMs = performance.now() - startMs;
    Atomics.wait(cell, 0, 0, Math.min(2, 0.05 + waitedMs / 50));
    await new Promise(setImmediate);
  }
  return watched;
}
