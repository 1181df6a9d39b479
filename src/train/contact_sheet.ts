// Samples as rows; columns: the picture, then for each task its label and what the model made of it.
import type { Picture } from '../data/file.ts';
import { writeRgbPng } from '../data/png.ts';
import type { DataTask } from '../data/sample.ts';
import { drawText, textSize } from './bitmap_font.ts';
import { depthRange, imagePicture, mapPicture } from './pictures.ts';

/** One sample of side S: the loader's image [3, S, S] of grey levels and maps as `mapPicture` takes them. */
export type SheetRow = {
  readonly size: number;
  readonly image: Uint8Array;
  readonly labels: ReadonlyMap<DataTask, Uint8Array | Float32Array>;
  /** Classes, probabilities 0..1, unit normals or metres; empty to show the labels alone. */
  readonly predictions: ReadonlyMap<DataTask, Float32Array>;
};

const TASK_TITLES: Readonly<Record<DataTask, string>> = {
  semseg: 'semantic',
  human_parts: 'body parts',
  sal: 'saliency',
  normals: 'normals',
  edge: 'edges',
  depth: 'depth',
};

/** A cell is enlarged or reduced by whole factors to about this many pixels. */
const CELL_TARGET = 144;
const [GAP, GROUP_GAP, MARGIN, TEXT_SCALE, LINE] = [4, 12, 12, 2, 20];
const [PAPER, INK, FAINT] = [
  [22, 24, 29],
  [238, 240, 244],
  [150, 156, 168],
] as const;

type Column = {
  readonly task: DataTask | null;
  readonly kind: 'image' | 'label' | 'model';
  readonly x: number;
};

/** The sheet's columns and its width; a task's label and prediction stand together. */
function layOut(rows: readonly SheetRow[], cell: number): { columns: Column[]; width: number } {
  const columns: Column[] = [{ task: null, kind: 'image', x: MARGIN }];
  let x = MARGIN + cell;
  for (const task of Object.keys(TASK_TITLES) as DataTask[]) {
    const kinds = [
      ...(rows.some((row) => row.labels.has(task)) ? ['label' as const] : []),
      ...(rows.some((row) => row.predictions.has(task)) ? ['model' as const] : []),
    ];
    kinds.forEach((kind, i) => {
      x += i === 0 ? GROUP_GAP : GAP;
      columns.push({ task, kind, x });
      x += cell;
    });
  }
  return { columns, width: x + MARGIN };
}

function cellPicture({ task, kind }: Column, row: SheetRow): Picture | null {
  if (task === null) return imagePicture(row.image, row.size);
  const map = (kind === 'label' ? row.labels : row.predictions).get(task);
  if (!map) return null;
  const measured = row.labels.get(task);
  return mapPicture(task, map, row.size, task === 'depth' ? depthRange(measured ?? map) : null);
}

/** How a sample of side `size` is scaled, and the side that it then has. */
function cellOf(size: number): { grow: number; shrink: number; cell: number } {
  const grow = Math.max(1, Math.round(CELL_TARGET / size));
  const shrink = Math.max(1, Math.round(size / CELL_TARGET));
  return { grow, shrink, cell: Math.floor(size / shrink) * grow };
}

/** One column of the sheet by itself: the pictures, or a task's labels or predictions, below one another. */
export function sheetColumn(
  rows: readonly SheetRow[],
  task: DataTask | null,
  kind: 'image' | 'label' | 'model',
): Picture {
  const { grow, shrink, cell } = cellOf(rows[0]!.size);
  const height = rows.length * (cell + GAP) - GAP;
  const column: Picture = { width: cell, height, data: new Uint8Array(3 * cell * height).fill(255) };
  rows.forEach((row, index) => {
    const picture = cellPicture({ task, kind, x: 0 }, row);
    if (picture) paste(column, resized(picture, grow, shrink), 0, index * (cell + GAP));
  });
  return column;
}

/** One picture of all rows, with a caption over each column. */
export function contactSheet(rows: readonly SheetRow[]): Picture {
  const size = rows[0]?.size;
  if (size === undefined) throw new Error('contactSheet: rows must hold a sample, got none');
  const other = rows.find((row) => row.size !== size);
  if (other) throw new Error(`contactSheet: all samples must have the side ${size}, got ${other.size}`);
  const { grow, shrink, cell } = cellOf(size);
  const { columns, width } = layOut(rows, cell);
  const top = MARGIN + 2 * LINE;
  const height = top + rows.length * (cell + GAP) - GAP + MARGIN;
  const sheet: Picture = { width, height, data: new Uint8Array(3 * width * height) };
  fill(sheet, 0, 0, width, height, PAPER);

  writeCaptions(sheet, columns, cell);
  rows.forEach((row, index) => {
    for (const column of columns) {
      const picture = cellPicture(column, row);
      if (picture) paste(sheet, resized(picture, grow, shrink), column.x, top + index * (cell + GAP));
    }
  });
  return sheet;
}

export function writeContactSheet(path: string, rows: readonly SheetRow[]): void {
  writeRgbPng(path, contactSheet(rows));
}

/** Above a task's columns its name, above each of them what it shows. */
function writeCaptions(sheet: Picture, columns: readonly Column[], cell: number): void {
  columns.forEach((column, i) => {
    const { task, kind, x } = column;
    if (task === null) return write(sheet, 'image', x, MARGIN + LINE, FAINT, cell);
    const opens = columns[i - 1]?.task !== task;
    const paired = columns[i + 1]?.task === task;
    if (opens) write(sheet, TASK_TITLES[task], x, MARGIN, INK, paired ? 2 * cell + GAP : cell);
    write(sheet, kind, x, MARGIN + LINE, FAINT, cell);
  });
}

/** A text that fits into `room` pixels: smaller, or shortened, if it must. */
function write(
  sheet: Picture,
  text: string,
  x: number,
  y: number,
  colour: readonly number[],
  room: number,
): void {
  const scale = textSize(text, TEXT_SCALE).width <= room ? TEXT_SCALE : 1;
  drawText(text, scale, (dx, dy) => fill(sheet, x + dx, y + dy, scale, scale, colour));
}

function fill(
  { width, height, data }: Picture,
  x: number,
  y: number,
  across: number,
  down: number,
  colour: readonly number[],
): void {
  for (let row = y; row < Math.min(height, y + down); row++) {
    for (let column = x; column < Math.min(width, x + across); column++)
      data.set(colour, (row * width + column) * 3);
  }
}

/** Each pixel repeated `grow` times, or the mean of `shrink` x `shrink` pixels. */
function resized({ width, data }: Picture, grow: number, shrink: number): Picture {
  const side = Math.floor(width / shrink) * grow;
  const out = new Uint8Array(3 * side * side);
  for (let at = 0; at < 3 * side * side; at++) {
    const [x, y, c] = [Math.floor(at / 3) % side, Math.floor(at / 3 / side), at % 3];
    const [left, up] = [Math.floor(x / grow) * shrink, Math.floor(y / grow) * shrink];
    let sum = 0;
    for (let i = 0; i < shrink * shrink; i++)
      sum += data[((up + Math.floor(i / shrink)) * width + left + (i % shrink)) * 3 + c]!;
    out[at] = Math.round(sum / (shrink * shrink));
  }
  return { width: side, height: side, data: out };
}

function paste(sheet: Picture, picture: Picture, x: number, y: number): void {
  for (let row = 0; row < picture.height; row++) {
    const line = picture.data.subarray(row * picture.width * 3, (row + 1) * picture.width * 3);
    sheet.data.set(line, ((y + row) * sheet.width + x) * 3);
  }
}
