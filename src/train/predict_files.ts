// Which pictures a prediction is asked of, and what it leaves of each.
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, extname, join, relative } from 'node:path';
import type { Picture } from '../data/file.ts';
import { writeNpy } from '../data/npy.ts';
import { writeGrayPng, writeRgbPng } from '../data/png.ts';
import type { Task } from '../mtlora/spec.ts';
import { mapPicture, overlay } from './pictures.ts';

/** `name` is where its results go: a path without ending, different for each. */
export type Asked = { readonly path: string; readonly name: string };

const ENDINGS = ['.jpg', '.jpeg', '.png'];

/** The pictures among files and folders; of a folder those that its inner folders hold too. */
export function findPictures(inputs: readonly string[]): { pictures: Asked[]; problems: string[] } {
  const problems: string[] = [];
  const taken = new Set<string>();
  const pictures = inputs.flatMap((input) => {
    const kind = statSync(input, { throwIfNoEntry: false });
    if (!kind) {
      problems.push(`Cannot read "${input}": no such file or folder`);
      return [];
    }
    if (!kind.isDirectory()) return [{ path: input, file: basename(input) }];
    const found = readdirSync(input, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && ENDINGS.includes(extname(entry.name).toLowerCase()))
      .map(({ parentPath, name }) => join(parentPath, name)).toSorted();
    if (found.length === 0) problems.push(`Cannot read "${input}": it has no .jpg, .jpeg or .png file`);
    return found.map((path) => ({ path, file: relative(input, path) }));
  });
  return { pictures: pictures.map(({ path, file }) => ({ path, name: freeName(file, taken) })), problems };
}

/** `a/b` for `a/b.png`, or `a/b.png` or `a/b.png-2` where another picture has that name already. */
function freeName(file: string, taken: Set<string>): string {
  const stem = file.slice(0, file.length - extname(file).length);
  let name = stem;
  for (let count = 1; taken.has(name); count++) name = count === 1 ? file : `${file}-${count}`;
  taken.add(name);
  return name;
}

/**
 * Writes what a task made of a picture: `<base>.<task>.color.png`, `.overlay.png`, and the values themselves
 * as `.raw.png` or `.raw.npy`.
 *
 * @param map of the picture's size, as `predictionMap` makes it
 */
export function writePrediction(base: string, task: Task, picture: Picture, map: Float32Array): void {
  const { width, height } = picture;
  mkdirSync(dirname(base), { recursive: true });
  const colours = mapPicture(task, map, [height, width]);
  writeRgbPng(`${base}.${task}.color.png`, colours);
  writeRgbPng(`${base}.${task}.overlay.png`, overlay(task, picture, map));
  const raw = `${base}.${task}.raw`;
  switch (task) {
    case 'semseg':
    case 'human_parts': return writeGrayPng(`${raw}.png`, { width, height, data: Uint8Array.from(map) });
    case 'sal':
    case 'edge': {
      const data = Uint8Array.from(map, (probability) => Math.round(255 * probability));
      return writeGrayPng(`${raw}.png`, { width, height, data });
    }
    case 'normals': return writeRgbPng(`${raw}.png`, colours);
    case 'depth': return writeNpy(`${raw}.npy`, [height, width], map);
  }
}
