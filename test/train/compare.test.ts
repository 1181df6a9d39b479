import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { decode } from 'fast-png';
import { expect, test } from 'vitest';
import { register } from '../../src/train/commands/compare.ts';
import type { Compared } from '../../src/train/report/compare.ts';
import { parametersPlot } from '../../src/train/report/plot.ts';
import { paramsReport } from '../../src/train/params_report.ts';
import { modelSpec } from '../../src/train/config.ts';
import { folderWith } from '../support/folder.ts';
import { evaluationLine, START, writeRun } from '../support/run_folder.ts';
import { tinyConfig } from '../support/tiny_model.ts';

const small = tinyConfig();
const large = { ...tinyConfig({ R: [9, 9, 9, 9], R_PER_TASK: {} }), TAG: 'wide' };

function runs(gain: number | null = 1.5): string[] {
  return [
    writeRun(folderWith(), [START, evaluationLine(4, 0.6, 20, gain), evaluationLine(8, 0.5, 21, -2)], small),
    writeRun(folderWith(), [START, evaluationLine(8, 0.7, 18, 3)], large),
  ];
}

async function compare(...args: string[]): Promise<string[]> {
  const lines: string[] = [];
  const program = new Command().exitOverride();
  program.configureOutput({ writeErr() {} });
  register(program, {
    say: (line) => { lines.push(line); }, status() {}, interactive: false, args: [],
    interruption: () => new AbortController().signal,
  });
  await program.parseAsync(['compare', ...args], { from: 'user' });
  return lines;
}

test('compare prints scores, Δm and parameters of each run\'s best evaluation', async () => {
  const [a, b] = runs();
  const [head, first, second] = (await compare(a!, b!))[0]!.split('\n').map((line) => line.split(/ {2,}/));
  expect(head).toEqual(
    ['run', 'evaluated', 'semseg mIoU ↑', 'normals mean ↓', 'Δm ↑', 'trainable', 'all', 'GMAC']);
  expect(first!.slice(0, 5)).toEqual([a, 'epoch 1', '60.00 %', '20.00°', '+1.50 %']);
  expect(second!.slice(0, 5)).toEqual([b, 'epoch 2', '70.00 %', '18.00°', '+3.00 %']);
  const trainable = paramsReport(modelSpec(small)).trainable;
  expect(first![5]).toBe(`${(trainable / 1e6).toFixed(2)} M`);
});

test('compare --json --last tells numbers of the last evaluations', async () => {
  const found = JSON.parse((await compare(...runs(), '--json', '--last'))[0]!) as Compared[];
  expect(found.map(({ tag, step, delta_m: gain, scores }) => [tag, step, gain, scores.semseg!.mIoU]))
    .toEqual([['default', 8, -2, 0.5], ['wide', 8, 3, 0.7]]);
  expect(found[1]!.trainable).toBe(paramsReport(modelSpec(large)).trainable);
  expect(found[1]!.trainable).toBeGreaterThan(found[0]!.trainable);
});

test('compare --plot draws a point for each run, in SVG and in PNG', async () => {
  const folder = folderWith();
  const [svg, png] = [join(folder, 'p.svg'), join(folder, 'p.png')];
  await compare(...runs(), '--plot', svg);
  const text = readFileSync(svg, 'utf8');
  const circles = [...text.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [+x!, +y!]);
  expect(circles).toHaveLength(2);
  expect(circles[1]![0]).toBeGreaterThan(circles[0]![0]!);      // more parameters: further right
  expect(circles[1]![1]).toBeLessThan(circles[0]![1]!);         // a higher Δm: further up
  expect(text).toContain(' wide</text>');
  await compare(...runs(), '--plot', png);
  const { width, height, channels, data } = decode(readFileSync(png));
  expect([width, height]).toEqual([1520, 960]);
  const pixel = ([x, y]: number[]): number[] =>
    Array.from(data.slice((2 * Math.round(y!) * width + 2 * Math.round(x!)) * channels).slice(0, 3));
  expect(circles.map(pixel)).toEqual([[0x3b, 0x82, 0xc4], [0xe0, 0x80, 0x3a]]);
});

test('compare refuses runs without an evaluation, plots without Δm, files that are no pictures', async () => {
  await expect(compare(writeRun(folderWith(), [START]))).rejects.toThrow('must have an evaluation, got none');
  await expect(compare(runs(null)[0]!, '--last', '--plot', '/tmp/x.txt')).rejects.toThrow('.svg or .png');
  const none = writeRun(folderWith(), [START, evaluationLine(4, 0.5, 20, null)],
    { ...small, TRAIN: { ...small.TRAIN, BEST: 'loss' } });
  await expect(compare(none, '--plot', join(folderWith(), 'x.svg'))).rejects.toThrow('must have a Δm');
});

test('parametersPlot() keeps labels apart and draws them without fonts', () => {
  const at = { trainable: 2e6, deltaM: 1 };
  const points = [{ label: 'a', ...at }, { label: 'é', ...at }];
  const [first, second] = [...parametersPlot(points, true).matchAll(/y="([\d.]+)"[^>]*>[aé]</g)]
    .map(([, y]) => Number(y));
  expect(second! - first!).toBeGreaterThanOrEqual(16);
  expect(parametersPlot(points, false)).not.toContain('<text');
});
