import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';

import { decoding } from './file.ts';

/** One call of the operating system moves at most this much, so files beyond 2 GiB work too. */
const CHUNK = 2 ** 30;

/** The whole file; unlike readFileSync, also beyond 2 GiB, in a buffer of its own. */
export function readBytes(path: string): Uint8Array<ArrayBuffer> {
  return decoding(path, () => {
    const file = openSync(path, 'r');
    try {
      const stat = fstatSync(file);
      if (!stat.isFile()) throw new Error('it is not a file');
      const bytes = new Uint8Array(stat.size);
      for (let at = 0; at < bytes.length;) {
        const got = readSync(file, bytes, at, Math.min(CHUNK, bytes.length - at), null);
        if (got === 0) throw new Error(`it ended at byte ${at} of ${bytes.length}`);
        at += got;
      }
      return bytes;
    } finally {
      closeSync(file);
    }
  });
}

/** A file that cannot be written, told in one sentence which names it. `code` is the operating system's. */
export class WriteError extends Error {
  override readonly name = 'WriteError';
  readonly code: string;

  constructor(path: string, cause: NodeJS.ErrnoException) {
    const code = cause.code ?? '';
    super(`Cannot write "${path}": ${REASONS[code] ?? cause.message}`, { cause });
    this.code = code;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EACCES: 'permission denied',
  ENOENT: 'its folder does not exist',
  EISDIR: 'it is a folder',
};

/** Runs what writes `path`; whatever the operating system refuses becomes a WriteError. */
export function writing<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    throw new WriteError(path, error as NodeJS.ErrnoException);
  }
}

/** Writes `<path>.tmp`, has the disk hold it, and renames: `path` is never seen half-written. */
export function writeBytes(path: string, chunks: Iterable<Uint8Array>): void {
  writing(path, () => {
    writeAndRename(`${path}.tmp`, path, chunks);
    syncDirectory(dirname(path));
  });
}

function writeAndRename(temporary: string, path: string, chunks: Iterable<Uint8Array>): void {
  const file = openSync(temporary, 'w');
  try {
    try {
      for (const chunk of chunks) writeAll(file, chunk);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function writeAll(file: number, chunk: Uint8Array): void {
  for (let at = 0; at < chunk.length;) at += writeSync(file, chunk, at, Math.min(CHUNK, chunk.length - at));
}

/** The rename itself survives a power cut only once the directory is on disk. */
function syncDirectory(path: string): void {
  if (process.platform === 'win32') return; // Windows opens no directory as a file
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}
