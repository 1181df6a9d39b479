// On-CPU time of the threads that do the driver's work, so that other processes do not falsify a measurement.
import { readdirSync, readFileSync } from 'node:fs';

const TASKS = '/proc/self/task';
// Node's own helpers. A software driver's threads have names of their own, or inherit the process's.
const HELPERS = /^(V8Worker|DelayedTask|SignalInsp|libuv|node:)/;

const isDriver = new Map<string, boolean>();

/** Milliseconds on a CPU of all driver threads so far, or null where the system does not tell. */
export function driverCpuMs(): number | null {
  let total = 0;
  try {
    for (const id of readdirSync(TASKS)) {
      let driver = isDriver.get(id);
      if (driver === undefined) {
        driver = Number(id) !== process.pid && !HELPERS.test(readFileSync(`${TASKS}/${id}/comm`, 'utf8'));
        isDriver.set(id, driver);
      }
      if (driver) total += Number(readFileSync(`${TASKS}/${id}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
    }
  } catch {
    return null;                                          // no /proc, or a thread that ended in between
  }
  return total;
}
