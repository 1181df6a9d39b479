// Pictures of a run's evaluations in its folder: the same few samples each time, a column of them a file.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeBytes } from '../data/file_bytes.ts';
import { encodeRgbPng } from '../data/png.ts';
import type { DataTask } from '../data/sample.ts';
import { sheetColumn, type SheetRow } from './contact_sheet.ts';

const FOLDER = 'pictures';

export type GalleryStrip = { readonly step: number; readonly path: string };

/** What a report shows of a task: its labels, and what the model made of them after so many updates. */
export type Gallery = {
  readonly image: string;
  readonly tasks: ReadonlyMap<DataTask, { readonly label: string; readonly strips: readonly GalleryStrip[] }>;
};

export function writeGallery(folder: string, rows: readonly SheetRow[], step: number): void {
  if (rows.length === 0) return;
  mkdirSync(join(folder, FOLDER), { recursive: true });
  const write = (name: string, ...column: Parameters<typeof sheetColumn>): void =>
    writeBytes(join(folder, name), [encodeRgbPng(sheetColumn(...column))]);
  write(imageName(), rows, null, 'image');
  for (const task of rows[0]!.predictions.keys()) {
    write(labelName(task), rows, task, 'label');
    write(stripName(task, step), rows, task, 'model');
  }
}

/** What the folder has of these evaluations; null where no pictures were kept. */
export function readGallery(
  folder: string, tasks: readonly DataTask[], steps: readonly number[],
): Gallery | null {
  const path = (name: string): string => join(folder, name);
  if (!existsSync(path(imageName()))) return null;
  const shown = tasks.filter((task) => existsSync(path(labelName(task))));
  return {
    image: path(imageName()),
    tasks: new Map(shown.map((task) => [task, {
      label: path(labelName(task)),
      strips: steps.map((step) => ({ step, path: path(stripName(task, step)) }))
        .filter((strip) => existsSync(strip.path)),
    }])),
  };
}

const imageName = (): string => join(FOLDER, 'image.png');
const labelName = (task: DataTask): string => join(FOLDER, `${task}.label.png`);
const stripName = (task: DataTask, step: number): string =>
  join(FOLDER, `${task}.${String(step).padStart(8, '0')}.png`);
