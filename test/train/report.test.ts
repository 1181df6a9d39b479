import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode } from 'fast-png';
import { expect, test } from 'vitest';
import { sheetColumn } from '../../src/train/contact_sheet.ts';
import { writeGallery } from '../../src/train/gallery.ts';
import { lineChart, thinned, ticks } from '../../src/train/report/chart.ts';
import { writeReport } from '../../src/train/report/report.ts';
import { readRun } from '../../src/train/report/run_record.ts';
import { folderWith } from '../support/folder.ts';
import { evaluationLine, flatRow, START, trainLine, writeRun } from '../support/run_folder.ts';

const LINES = [
  START, evaluationLine(0, 0.1, 60, -150), trainLine(2, 8), trainLine(4, 6), evaluationLine(4, 0.5, 30, -20),
  trainLine(8, 4), evaluationLine(8, 0.4, 25, -30),
];

/** What a chart of the page shows: its lines' names and values. */
function chart(html: string, title: string): { name: string; points: number[][] }[] {
  const [, data] = new RegExp(`aria-label="${title}" data-points="([^"]*)"`).exec(html)!;
  const series = JSON.parse(data!.replaceAll('&quot;', '"')) as { name: string; points: number[][] }[];
  return series.map(({ name, points }) => ({ name, points: points.map(([, , x, y]) => [x!, y!]) }));
}

/** The cells of the tables in the page, row by row. */
function tableRows(html: string): string[][] {
  return [...html.matchAll(/<tr>(.*?)<\/tr>/g)].map(([, row]) =>
    [...row!.matchAll(/<t[hd]>(.*?)<\/t[hd]>/g)].map(([, cell]) => cell!));
}

test('writeReport() puts curves, results, parameters and configuration on one page', () => {
  const folder = writeRun(folderWith(), LINES);
  writeFileSync(join(folder, 'profile.json'), JSON.stringify({ rows: [{ kernel: 'matmul/forward',
    variant: 'tile', calls: 3, ms: 1.25, share: 0.5, gflopsPerSecond: 80, gigabytesPerSecond: 9 }] }));
  expect(writeReport(folder)).toBe(join(folder, 'report.html'));
  const html = readFileSync(join(folder, 'report.html'), 'utf8');

  expect(chart(html, 'loss, weighted sum')).toEqual([
    { name: 'training', points: [[2, 8], [4, 6], [8, 4]] },
    { name: 'validation', points: [[0, 3], [4, 3], [8, 3]] },
  ]);
  expect(chart(html, 'semantic segmentation, mIoU')[0]!.points).toEqual([[0, 0.1], [4, 0.5], [8, 0.4]]);
  expect(chart(html, 'time spent waiting for data')[0]!.points[0]).toEqual([2, 50]);
  const rows = tableRows(html);
  expect(rows).toContainEqual(['task', 'score', 'before training', 'epoch 1 (best)', 'epoch 2', 'better is']);
  expect(rows).toContainEqual(['semantic segmentation', 'mIoU', '10.00 %', '50.00 %', '40.00 %', 'higher']);
  expect(rows).toContainEqual(['surface normals', 'mean', '60.00°', '30.00°', '25.00°', 'lower']);
  expect(rows).toContainEqual(['matmul/forward', 'tile', '3', '1.250', '50.0 %', '80.0', '9.00']);
  expect(rows.find(([name]) => name === 'task low-rank')).toHaveLength(4);
  expect(html).toContain('mtlora-train --cfg a&lt;b.yaml');
  expect(html).toContain('EMBED_DIM: 8');
});

test('writeReport() needs no other file and no network', () => {
  const folder = writeRun(folderWith(), LINES);
  writeGallery(folder, [flatRow(), flatRow()], 4);
  const html = readFileSync(writeReport(folder), 'utf8');
  expect(html.match(/(src|href)="(?!data:image\/png;base64,)/g)).toBe(null);
  expect(html).not.toMatch(/https?:|@import|url\(/);
  for (const [open, close] of ['div', 'figure', 'svg', 'table', 'details'].map((tag) =>
    [html.split(`<${tag}`).length, html.split(`</${tag}>`).length])) expect(open).toBe(close);
});

test('writeReport() shows each task\'s pictures over the evaluations that the log knows', () => {
  const folder = writeRun(folderWith(), LINES);
  for (const step of [0, 4, 6]) writeGallery(folder, [flatRow(), flatRow()], step);
  const html = readFileSync(writeReport(folder), 'utf8');
  const images = [...html.matchAll(/<img alt="([^"]+)" src="data:image\/png;base64,([^"]+)"/g)];
  const captions = ['image', 'label', 'before training', 'epoch 1'];
  expect(images.map(([, caption]) => caption)).toEqual([...captions, ...captions]);
  const png = decode(Buffer.from(images[3]![2]!, 'base64'));
  const column = sheetColumn([flatRow(), flatRow()], 'semseg', 'model');
  expect([png.width, png.height, Buffer.compare(png.data as Uint8Array, column.data)])
    .toEqual([144, 2 * 144 + 4, 0]);
  expect([...column.data.subarray(0, 3)]).toEqual([192, 128, 128]);
});

test('writeReport() tells of a run that has trained nothing yet, or is just writing a line', () => {
  const folder = writeRun(folderWith(), [START]);
  expect(readFileSync(writeReport(folder), 'utf8')).toContain('0 of 300');
  const log = readFileSync(join(folder, 'log.jsonl'), 'utf8');
  writeFileSync(join(folder, 'log.jsonl'), `${log}{"kind":"tr`);
  expect(readRun(folder).train).toEqual([]);
});

test('readRun() names what is not a run, and a line that is not whole', () => {
  const folder = folderWith();
  expect(() => readRun(folder)).toThrow(`"${folder}" must be the folder of a run, got no`);
  writeRun(folder, [START]);
  writeFileSync(join(folder, 'log.jsonl'), '{"kind":"start"}\n{"kin\n');
  expect(() => readRun(folder)).toThrow('log.jsonl":2 must be JSON');
  writeFileSync(join(folder, 'log.jsonl'), '');
  expect(() => readRun(folder)).toThrow('must tell of a run\'s start');
});

test('readRun() takes the best evaluation by TRAIN.BEST', () => {
  expect(readRun(writeRun(folderWith(), LINES)).best!.step).toBe(4);
  expect(readRun(writeRun(folderWith(), [START])).best).toBe(null);
});

test('thinned() keeps the lowest and the highest of every piece', () => {
  const points = Array.from({ length: 5000 }, (_, i) => [i, i === 1234 ? 99 : i === 4321 ? -99 : 0] as const);
  const few = thinned(points);
  expect(few.length).toBeLessThanOrEqual(400);
  expect(few).toContainEqual([1234, 99]);
  expect(few).toContainEqual([4321, -99]);
  expect(few.map(([x]) => x)).toEqual(few.map(([x]) => x).toSorted((a, b) => a - b));
});

test('ticks() and lineChart() place round numbers', () => {
  expect(ticks([0.013, 0.087], 5)).toEqual([0.02, 0.04, 0.06, 0.08]);
  expect(ticks([-7, 103], 5)).toEqual([0, 50, 100]);
  const flat = lineChart({ title: 't', series: [{ name: 'n', points: [[1, 5], [2, 5]] }] });
  expect(flat).not.toContain('NaN');
  const log = lineChart({ title: 't', log: true, series: [{ name: 'n', points: [[1, 1], [2, 40]] }] });
  expect([...log.matchAll(/end">([^<]+)</g)].map(([, tick]) => tick)).toEqual(['1', '2', '5', '10', '20']);
  expect(lineChart({ title: 't', series: [{ name: 'n', points: [] }] })).toBe('');
});
