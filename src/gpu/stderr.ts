import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isMainThread } from 'node:worker_threads';

const STDERR = 2;
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK | constants.O_NOCTTY;
const CREATE = constants.O_WRONLY | constants.O_CREAT;

/**
 * Runs `body` and returns, with its result, what native code wrote to stderr meanwhile.
 *
 * Dawn prints its warnings with fprintf, whatever its options say, so the file descriptor itself must point
 * elsewhere while `body` runs, which must not wait. Where that cannot be done (outside of Linux, in a worker,
 * behind a socket) stderr stays as it is, and the text is empty.
 */
export function capturingStderr<T>(body: () => T): { result: T; text: string } {
  const terminal = reopenStderr();
  if (terminal === null) return { result: body(), text: '' };
  const folder = mkdtempSync(join(tmpdir(), 'mtlora-'));
  const file = join(folder, 'stderr');
  pointStderr(file, CREATE);
  let result: T;
  try {
    result = body();
  } finally {
    pointStderr(`/proc/self/fd/${terminal}`, APPEND);
    closeSync(terminal);
  }
  const text = readFileSync(file, 'utf8');
  rmSync(folder, { recursive: true });
  return { result, text };
}

/** Another descriptor of what stderr is, or null where it cannot be had. */
function reopenStderr(): number | null {
  if (process.platform !== 'linux' || !isMainThread) return null;
  try {
    return openSync(`/proc/self/fd/${STDERR}`, APPEND);
  } catch {
    return null;
  }
}

// a file that is opened gets the lowest free number, which is the one just closed
function pointStderr(path: string, flags: number): void {
  closeSync(STDERR);
  const got = openSync(path, flags);
  if (got !== STDERR) throw new Error(`stderr: must be descriptor ${STDERR}, got ${got}`);
}
