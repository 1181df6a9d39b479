// The folder of a run: <output>/<MODEL.NAME>/<TAG>/ of configuration, log, metrics and checkpoints.
// One process writes it at a time: run.lock names that process.
import {
  appendFileSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { writeBytes, writing } from '../data/file_bytes.ts';
import type { Config } from './config.ts';
import { isInterruption, sortCheckpoints } from './checkpoint_names.ts';

/** A line of the log. `step`: updates done when it was written. */
export type LogEntry = { readonly kind: string; readonly step: number; readonly [key: string]: unknown };

const LOG = 'log.jsonl';
const LOCK = 'run.lock';
/** Ending of files of a run that went back to before them. */
export const SUPERSEDED = '.superseded';

export function runPath({ OUTPUT, TAG, MODEL }: Config): string {
  return join(OUTPUT, MODEL.NAME, TAG);
}

/** Path of the furthest checkpoint of a folder that nobody needs to hold. */
export function furthestCheckpoint(path: string): string | null {
  const [name] = existsSync(path) ? sortCheckpoints(readdirSync(path)) : [];
  return name === undefined ? null : join(path, name);
}

export function samePath(a: string, b: string): boolean {
  return resolve(a) === resolve(b);
}

/** A run's folder, held by this process until `close()`. */
export class RunFolder {
  readonly path: string;
  readonly #lock: string;

  constructor(path: string) {
    this.path = path;
    writing(path, () => mkdirSync(path, { recursive: true }));
    this.#lock = takeLock(join(resolve(path), LOCK), path);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** Paths of the checkpoints, the furthest first. */
  checkpoints(): string[] {
    return sortCheckpoints(readdirSync(this.path)).map((name) => this.file(name));
  }

  /** Appends a line to the log, on disk once this returns. */
  log(entry: LogEntry): void {
    const line = `${JSON.stringify(entry)}\n`;
    writing(this.file(LOG), () => appendFileSync(this.file(LOG), line, { flush: true }));
  }

  /** Goes back to `step`: forgets what the log says of later ones and sets later checkpoints aside. */
  rewind(step: number, checkpoint: string | null): void {
    const log = this.file(LOG);
    if (existsSync(log)) {
      const lines = step === 0 ? [] : readFileSync(log, 'utf8').split('\n');     // 0: another run begins
      const kept = lines.filter((line) => isUpTo(line, step));
      this.write(LOG, kept.map((line) => `${line}\n`).join(''));
    }
    const paths = this.checkpoints();
    const at = paths.findIndex((path) => checkpoint !== null && samePath(path, checkpoint));
    for (const path of paths.slice(0, Math.max(at, 0))) renameSync(path, path + SUPERSEDED);
  }

  /** Deletes checkpoints of interruptions that `saved` has overtaken. */
  forgetInterruptions(saved: string): void {
    const names = sortCheckpoints(readdirSync(this.path));
    for (const name of names.slice(names.indexOf(saved) + 1)) {
      if (isInterruption(name)) rmSync(this.file(name));
    }
  }

  /** Deletes all but the latest `count` checkpoints of whole epochs. */
  keepLatest(count: number): void {
    const whole = this.checkpoints().filter((path) => !isInterruption(path));
    for (const path of whole.slice(count)) rmSync(path);
  }

  /** Replaces a file in one step: it is never seen half-written. */
  write(name: string, text: string): void {
    writeBytes(this.file(name), [Buffer.from(text)]);
  }

  close(): void {
    held.delete(this.#lock);
    rmSync(this.#lock, { force: true });
  }
}

/** Whether a line of the log is whole, and of no later step. */
function isUpTo(line: string, step: number): boolean {
  try {
    return (JSON.parse(line) as LogEntry).step <= step;
  } catch {
    return false;                       // the last line of a process that was killed
  }
}

type Owner = { readonly pid: number; readonly host: string; readonly started: string };

const held = new Set<string>();

function takeLock(lock: string, path: string): string {
  for (let attempt = 0; ; attempt++) {
    if (linkOwner(lock)) {
      held.add(lock);
      return lock;
    }
    const other = attempt === 0 ? readOwner(lock) : null;
    if (held.has(lock) || other === null || isAlive(other)) {
      const who = other ? `process ${other.pid} on ${other.host}` : 'another process';
      throw new Error(`"${path}" is being written by ${who}: choose another --tag or --output, `
        + `or delete "${lock}" if no such process runs`);
    }
    rmSync(lock, { force: true });      // its process has gone without a word
  }
}

/** Puts this process into the lock unless there is one: a link appears whole or not at all. */
function linkOwner(lock: string): boolean {
  const own = `${lock}.${process.pid}`;
  const owner: Owner = { pid: process.pid, host: hostname(), started: startOf(process.pid) };
  writing(own, () => writeFileSync(own, JSON.stringify(owner)));
  try {
    linkSync(own, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(own);
  }
}

function readOwner(lock: string): Owner | null {
  try {
    return JSON.parse(readFileSync(lock, 'utf8')) as Owner;
  } catch {
    return null;                        // gone at this moment, or not ours: not to be touched
  }
}

// On another host it cannot be told: then it counts as alive. This process's own is from before an exec.
function isAlive({ pid, host, started }: Owner): boolean {
  if (host !== hostname()) return true;
  if (pid === process.pid || startOf(pid) !== started) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** When a process started, which tells it from a later one of the same number; '' where that is unknown. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
