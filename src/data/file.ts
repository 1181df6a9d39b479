import { readFileSync } from 'node:fs';

/** An 8-bit picture: `data` is [height, width, channels], channels the reader's or writer's business. */
export type Picture = { readonly width: number; readonly height: number; readonly data: Uint8Array };

/** A file that cannot be used, told in one sentence which names it. */
export class FileError extends Error {
  readonly path: string;
  readonly problem: string;

  constructor(path: string, problem: string) {
    super(`Cannot read "${path}": ${problem}`);
    this.name = 'FileError';
    this.path = path;
    this.problem = problem;
  }
}

const REASONS: Record<string, string> = {
  ENOENT: 'no such file',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
};

/** The whole file for a codec, or a FileError that says why not. */
export function readFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    throw new FileError(path, REASONS[code] ?? firstLine(error));
  }
}

/** Runs a codec on a file's content; whatever it throws becomes one sentence with the file's name. */
export function decoding<T>(path: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw asFileError(path, error);
  }
}

/** `error` as a FileError of `path`, unless it is one already. */
export function asFileError(path: string, error: unknown): FileError {
  return error instanceof FileError ? error : new FileError(path, firstLine(error));
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n')[0]!.trim();
}
