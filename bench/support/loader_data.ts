// Pictures of PASCAL's size with labels for four tasks: as the archive has them, and all in PNG.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { listSamples, readImage, readLabel, type DatasetSpec } from '../../src/data/dataset.ts';
import type { FolderLayout } from '../../src/data/folder.ts';
import { writeGrayPng, writeRgbPng } from '../../src/data/png.ts';
import type { Field } from '../../src/data/sample.ts';
import { PASCAL_SEMSEG_CLASSES, HUMAN_PARTS_CLASSES } from '../../src/data/pascal_classes.ts';
import { writeSyntheticPascal } from '../../src/data/synth/write.ts';

/** Height and width of most of PASCAL's pictures. */
export const SIZE = [375, 500] as const;
const TASKS = ['semseg', 'normals', 'sal', 'human_parts'] as const;

export type Source = { readonly name: 'JPEG' | 'PNG'; readonly dataset: DatasetSpec };

/** Draws `count` scenes into `root`, and writes them again as plain folders of PNG. */
export async function writeSources(root: string, count: number): Promise<Source[]> {
  const [pascal, folders] = [join(root, 'pascal'), join(root, 'folders')];
  await writeSyntheticPascal({ root: pascal, train: count, val: 1, size: SIZE, seed: 1 });
  const jpeg: DatasetSpec = { kind: 'pascal', root: pascal, split: 'train', tasks: TASKS };
  const layout: FolderLayout = {
    root: folders, images: 'images', splits: { lists: { train: 'train.txt' } },
    tasks: {
      semseg: { folder: 'semseg', names: PASCAL_SEMSEG_CLASSES, first: 0, ignore: [255] },
      normals: { folder: 'normals' },
      sal: { folder: 'sal', threshold: 1 },
      human_parts: { folder: 'human_parts', names: HUMAN_PARTS_CLASSES, first: 0, ignore: [255] },
    },
  };
  for (const folder of ['images', ...TASKS]) mkdirSync(join(folders, folder), { recursive: true });
  const ids = listSamples(jpeg);
  for (const id of ids) await writePngs(folders, jpeg, id);
  writeFileSync(join(folders, 'train.txt'), ids.join('\n'));
  const png: DatasetSpec = { kind: 'folder', root: folders, layout, split: 'train', tasks: TASKS };
  return [{ name: 'JPEG', dataset: jpeg }, { name: 'PNG', dataset: png }];
}

async function writePngs(root: string, from: DatasetSpec, id: string): Promise<void> {
  const image = await readImage(from, id);
  const path = (folder: string): string => join(root, folder, `${id}.png`);
  writeRgbPng(path('images'), bytesOf(image, (level) => level));
  for (const task of TASKS) {
    // who shows nobody has no parts
    const { height, width } = image;
    const none: Field = { height, width, channels: 1, data: new Float32Array(height * width) };
    const label = readLabel(from, id, task) ?? none;
    if (task === 'normals') writeRgbPng(path(task), bytesOf(label, (v) => Math.round(127.5 * (v + 1))));
    else writeGrayPng(path(task), bytesOf(label, (value) => value));
  }
}

function bytesOf({ height, width, data }: Field, byte: (value: number) => number) {
  return { height, width, data: Uint8Array.from(data, byte) };
}
