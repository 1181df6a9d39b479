import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readRgbPng } from '../../src/data/png.ts';
import { VOC_PALETTE } from '../../src/data/palette.ts';
import type { DataTask } from '../../src/data/sample.ts';
import { drawText, textSize } from '../../src/train/bitmap_font.ts';
import { contactSheet, writeContactSheet, type SheetRow } from '../../src/train/contact_sheet.ts';
import { imagePicture, mapPicture, overlay, PARTS_PALETTE } from '../../src/train/pictures.ts';
import { folderWith } from '../support/folder.ts';

const colours = ({ data }: { data: Uint8Array }): number[][] =>
  Array.from({ length: data.length / 3 }, (_, at) => [...data.subarray(at * 3, at * 3 + 3)]);

/** A row of side `size` whose maps are all `value`. */
function row(
  size: number,
  labels: readonly DataTask[],
  predictions: readonly DataTask[],
  value = 0,
): SheetRow {
  const maps = (tasks: readonly DataTask[]): Map<DataTask, Float32Array> =>
    new Map(
      tasks.map((task) => [task, new Float32Array((task === 'normals' ? 3 : 1) * size * size).fill(value)]),
    );
  return {
    size,
    image: new Uint8Array(3 * size * size),
    labels: maps(labels),
    predictions: maps(predictions),
  };
}

test('imagePicture() puts the channels of each pixel side by side', () => {
  const levels = Uint8Array.of(0, 1, 2, 3, 255, 254, 253, 252, 64, 65, 66, 67);
  expect(colours(imagePicture(levels, 2))).toEqual([[0, 255, 64], [1, 254, 65], [2, 253, 66], [3, 252, 67]]);
});

test('VOC_PALETTE is that of PASCAL VOC', () => {
  expect([0, 1, 2, 15, 20, 255].map((index) => VOC_PALETTE[index])).toEqual([
    [0, 0, 0],
    [128, 0, 0],
    [0, 128, 0],
    [192, 128, 128],
    [0, 64, 128],
    [224, 224, 192],
  ]);
});

test('mapPicture() colours each task as its values mean', () => {
  expect(colours(mapPicture('semseg', Float32Array.of(0, 15, 255, 7), 2))).toEqual([
    [0, 0, 0],
    [192, 128, 128],
    [224, 224, 192],
    [128, 128, 128],
  ]);
  expect(colours(mapPicture('human_parts', Float32Array.of(0, 1, 6, 255), 2))).toEqual([
    PARTS_PALETTE[0],
    PARTS_PALETTE[1],
    PARTS_PALETTE[6],
    [64, 64, 64],
  ]);
  expect(colours(mapPicture('sal', Float32Array.of(0, 0.5, 1, 255), 2))).toEqual([
    [0, 0, 0],
    [128, 128, 128],
    [255, 255, 255],
    [64, 64, 64],
  ]);
  expect(
    colours(mapPicture('normals', Float32Array.of(1, 0, 0, 255, 0, -1, 0, 255, 0, 0, 1, 255), 2)),
  ).toEqual([
    [255, 128, 128],
    [128, 0, 128],
    [128, 128, 255],
    [64, 64, 64],
  ]);
  const near = colours(mapPicture('depth', Float32Array.of(1, 3, 9, 255), 2));
  expect([near[0], near[2], near[3]]).toEqual([
    [250, 230, 60],
    [65, 15, 85],
    [64, 64, 64],
  ]);
});

test('mapPicture() names the value and the length that are wrong', () => {
  expect(() => mapPicture('human_parts', Float32Array.of(0.5), 1)).toThrow(
    'mapPicture: a class of "human_parts" must be a whole number below 256, got 0.5',
  );
  expect(() => mapPicture('normals', new Float32Array(4), 2)).toThrow(
    'mapPicture "normals": must have 12 values, got 4',
  );
});

test('mapPicture() takes a height and a width', () => {
  const { width, height, data } = mapPicture('sal', Float32Array.of(0, 1, 0), [1, 3]);
  expect([width, height, data[3]]).toEqual([3, 1, 255]);
});

test('overlay() mixes classes in and leaves background and ignored pixels alone', () => {
  const white = { width: 4, height: 1, data: new Uint8Array(12).fill(255) };
  expect(colours(overlay('semseg', white, Float32Array.of(0, 15, 255, 1), 0.5))).toEqual([
    [255, 255, 255],
    [224, 192, 192],
    [255, 255, 255],
    [192, 128, 128],
  ]);
});

test('overlay() marks saliency as it is likely, normals everywhere, the picture itself stays', () => {
  const black = { width: 2, height: 1, data: new Uint8Array(6) };
  expect(colours(overlay('sal', black, Float32Array.of(0, 0.5), 1))).toEqual([[0, 0, 0], [128, 35, 25]]);
  const normals = Float32Array.of(0, 1, 0, 0, 1, 0);
  expect(colours(overlay('normals', black, normals, 0.5))).toEqual([[64, 64, 128], [128, 64, 64]]);
  expect([...black.data]).toEqual([0, 0, 0, 0, 0, 0]);
});

test('drawText() sets the dots of a glyph and refuses a letter that it lacks', () => {
  const dots: string[] = [];
  drawText('-i', 2, (x, y) => dots.push(`${x},${y}`));
  expect(dots.slice(0, 5)).toEqual(['0,6', '2,6', '4,6', '6,6', '8,6']);
  expect(dots.length).toBe(5 + 3 + 5 + 3);
  expect(textSize('-i', 2)).toEqual({ width: 22, height: 14 });
  expect(() => drawText('ü', 1, () => undefined)).toThrow(
    'drawText: every character must have a glyph, got "Ü"',
  );
});

test('contactSheet() has a column a label and a prediction, cells grown by whole factors, captions', () => {
  const sheet = contactSheet([
    row(32, ['semseg', 'sal'], ['semseg'], 1),
    row(32, ['semseg', 'sal'], ['semseg'], 1),
  ]);
  const cell = 32 * 5; // the nearest to 144
  expect(sheet.width).toBe(12 + cell + (12 + cell) + (4 + cell) + (12 + cell) + 12);
  expect(sheet.height).toBe(12 + 40 + cell + 4 + cell + 12);
  const at = (x: number, y: number): number[] => [
    ...sheet.data.subarray((y * sheet.width + x) * 3, (y * sheet.width + x) * 3 + 3),
  ];
  const top = 52;
  expect(at(12, top)).toEqual([0, 0, 0]); // levels of 0
  for (const x of [12 + cell + 12, 12 + 2 * cell + 16, 12 + 3 * cell + 15])
    expect(at(x, top)).toEqual([128, 0, 0]);
  for (const x of [12 + 3 * cell + 28, 12 + 4 * cell + 27])
    expect(at(x, top + cell + 4)).toEqual([255, 255, 255]);
  for (const x of [5, 12 + cell + 3, sheet.width - 3]) expect(at(x, top + 3)).toEqual([22, 24, 29]);
  const inked = colours(sheet)
    .slice(0, top * sheet.width)
    .filter(([r]) => r !== 22).length;
  expect(inked).toBeGreaterThan(500);
});

test('contactSheet() shrinks large samples, leaves a missing map empty and asks for one size', () => {
  const large = contactSheet([row(448, ['depth'], [])]);
  expect([large.width, large.height]).toEqual([12 + 149 + 12 + 149 + 12, 12 + 40 + 149 + 12]);
  const half = contactSheet([row(144, ['edge'], [], 1), row(144, [], [])]);
  expect([...half.data.subarray(((52 + 148) * half.width + 180) * 3).subarray(0, 3)]).toEqual([22, 24, 29]);
  expect(() => contactSheet([row(8, [], []), row(9, [], [])])).toThrow(
    'contactSheet: all samples must have the side 8, got 9',
  );
  expect(() => contactSheet([])).toThrow('contactSheet: rows must hold a sample, got none');
});

test('writeContactSheet() writes the sheet as a PNG', () => {
  const path = join(folderWith(), 'sheet.png');
  const rows = [row(16, ['normals'], ['normals'])];
  writeContactSheet(path, rows);
  expect(readRgbPng(path)).toEqual(contactSheet(rows));
});
