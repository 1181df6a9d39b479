import { existsSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { FileError, readFile } from './file.ts';
import type { DataTask } from './sample.ts';

/** The ids of a split, one a line; each is a path inside the dataset, so none may lead out of it. */
export function readIds(path: string): string[] {
  const lines = readFile(path).toString('utf8').split('\n');
  const ids = lines.map((line) => line.trim()).filter((line) => line !== '');
  if (ids.length === 0) throw new FileError(path, 'it lists no image');
  for (const id of ids) {
    if (isAbsolute(id) || /[\\:\0]/.test(id) || id.split('/').includes('..')) {
      throw new FileError(path, `an id must stay inside the dataset, got "${id}"`);
    }
  }
  return ids;
}

/** A kind of file that a task needs; where it may lie in several places, one of them is enough. */
export type NeededFile = { readonly task: DataTask | 'image'; readonly paths: (id: string) => string[] };

/** Throws for the first file that is missing. */
export function expectFiles(root: string, ids: readonly string[], files: readonly NeededFile[]): void {
  for (const id of ids) {
    for (const { task, paths } of files) {
      const candidates = paths(id).map((path) => join(root, path));
      if (candidates.some((path) => existsSync(path))) continue;
      const needed = task === 'image' ? 'the image' : `task "${task}"`;
      const elsewhere = candidates.slice(1).map((path) => ` nor "${path}"`).join('');
      throw new FileError(candidates[0]!, `no such file${elsewhere}, which ${needed} of "${id}" needs`);
    }
  }
}
