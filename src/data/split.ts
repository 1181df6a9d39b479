import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { FileError, readFile } from './file.ts';
import type { DataTask } from './sample.ts';

/** What a sample leads to of which a file is missing or damaged: an error, or it is left out and counted. */
export type OnBadSample = 'error' | 'skip';

/** The ids of a split, one a line; each is a path inside the dataset, so none may lead out of it. */
export function readIds(path: string): string[] {
  const lines = readFile(path).toString('utf8').split('\n');
  const ids = lines.map((line) => line.trim()).filter((line) => line !== '');
  if (ids.length === 0) throw new FileError(path, 'it lists no image');
  const outside = ids.find(leadsOut);
  if (outside !== undefined) {
    throw new FileError(path, `an id must stay inside the dataset, got "${outside}"`);
  }
  return ids;
}

/** Whether a path that is meant inside a folder may lead out of it. */
export function leadsOut(path: string): boolean {
  return isAbsolute(path) || /[\\:\0]/.test(path) || path.split('/').includes('..');
}

/** A kind of file that a task needs; where it may lie in several places, one of them is enough. */
export type NeededFile = { readonly task: DataTask | 'image'; readonly paths: (id: string) => string[] };

/** Throws for the first file that is missing. */
export function expectFiles(root: string, ids: readonly string[], files: readonly NeededFile[]): void {
  for (const id of ids) {
    const missing = files.map((file) => missingFile(root, id, file)).find((error) => error !== null);
    if (missing) throw missing;
  }
}

/** What to say of a file that is not there; null where it is. */
export function missingFile(root: string, id: string, { task, paths }: NeededFile): FileError | null {
  const candidates = paths(id).map((path) => join(root, path));
  if (candidates.some((path) => existsSync(path))) return null;
  const needed = task === 'image' ? 'the image' : `task "${task}"`;
  const elsewhere = candidates.slice(1).map((path) => ` nor "${path}"`).join('');
  return new FileError(candidates[0]!, `no such file${elsewhere}, which ${needed} of "${id}" needs`);
}
