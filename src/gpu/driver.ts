// The cached software Vulkan driver, for a process that found no adapter of its own.
import { driverEnvironment } from './driver.mjs';

export { driverEnvironment };

/**
 * Replaces this process by itself with the cached driver in its environment: the dynamic loader reads
 * LD_LIBRARY_PATH only when a program starts. Happens once, since `driverEnvironment()` is null then.
 */
export function reexecWithDriver(): never {
  const driver = driverEnvironment();
  if (!driver) throw new Error('reexecWithDriver: a cached driver must be there and not in use, got none');
  if (!process.execve) throw new Error('reexecWithDriver: must run in Node 24\'s main thread, got another');
  const args = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  return process.execve(process.execPath, args, { ...process.env, ...driver });
}
