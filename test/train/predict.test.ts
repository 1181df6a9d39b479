import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { readNpy } from '../../src/data/npy.ts';
import { readLabelPng, readRgbPng, writeRgbPng } from '../../src/data/png.ts';
import { linearRows } from '../../src/data/resample.ts';
import { makeField } from '../../src/data/sample.ts';
import { writeSafetensors } from '../../src/data/safetensors.ts';
import { formatConfig, modelSpec } from '../../src/train/config.ts';
import { runPrediction } from '../../src/train/predict.ts';
import { predictionAt, predictionMap } from '../../src/train/predictions.ts';
import type { Exit } from '../../src/train/terminal.ts';
import { folderWith } from '../support/folder.ts';
import { randomState, tinyConfig } from '../support/tiny_model.ts';
import { listen } from '../support/tiny_run.ts';

/** A folder with a model of the tasks, its configuration and a few pictures. */
async function scene(tasks: string[], dbname = 'PASCALContext'): Promise<{
  at: (name: string) => string;
  run: (inputs: string[], more?: { tasks?: string[] }) => Promise<{ lines: string[]; exit: number }>;
}> {
  const config = tinyConfig({}, tasks);
  const named = { ...config, DATA: { ...config.DATA, DBNAME: dbname as 'NYUD' } };
  const root = folderWith({ 'model.yaml': formatConfig(named) });
  const at = (name: string): string => join(root, name);
  writeSafetensors(at('model.safetensors'), randomState(modelSpec(named)), {});
  const noise = (width: number, height: number): Uint8Array =>
    Uint8Array.from({ length: 3 * width * height }, (_, i) => (i * 2_654_435_761) >>> 24);
  mkdirSync(at('in/deep'), { recursive: true });
  writeRgbPng(at('in/wide.png'), { width: 50, height: 20, data: noise(50, 20) });
  await sharp(noise(30, 44), { raw: { width: 30, height: 44, channels: 3 } })
    .withMetadata({ orientation: 6 }).jpeg().toFile(at('in/deep/turned.jpg'));
  const run = async (inputs: string[], more = {}): Promise<{ lines: string[]; exit: number }> => {
    const terminal = listen();
    const given = { cfg: at('model.yaml'), from: at('model.safetensors'), out: at('out'), inputs };
    const exit = await runPrediction({ ...given, ...more }, terminal)
      .then(() => 0, (error: Exit) => error.exitCode ?? Promise.reject(error));
    return { lines: terminal.lines, exit };
  };
  return { at, run };
}

test('runPrediction() writes colours, overlay and raw map of each task at each own size', async () => {
  const { at, run } = await scene(['semseg', 'normals']);
  const { lines, exit } = await run([at('in')]);
  expect([exit, lines.at(-1)]).toEqual([0, `output     2 of 2 pictures in "${at('out')}"`]);
  const kinds = ['color', 'overlay', 'raw'];
  expect(readdirSync(at('out'), { recursive: true }).toSorted()).toEqual(['deep',
    ...['deep/turned', 'wide'].flatMap((name) => ['normals', 'semseg'].flatMap((task) =>
      kinds.map((kind) => `${name}.${task}.${kind}.png`)))]);
  const classes = readLabelPng(at('out/wide.semseg.raw.png'));
  expect([classes.width, classes.height, Math.max(...classes.data) < 21, new Set(classes.data).size > 1])
    .toEqual([50, 20, true, true]);
  const normals = readRgbPng(at('out/deep/turned.normals.raw.png'));
  expect([normals.width, normals.height]).toEqual([44, 30]);      // upright, as any viewer shows it
  const vector = [...normals.data.subarray(0, 3)].map((value) => 2 * value / 255 - 1);
  expect(Math.hypot(...vector)).toBeCloseTo(1, 1);
  expect(readRgbPng(at('out/wide.semseg.color.png')).data).not.toEqual(
    readRgbPng(at('out/wide.semseg.overlay.png')).data);
});

test('runPrediction() writes metres as .npy and edges as grey, and only the tasks asked for', async () => {
  const { at, run } = await scene(['semseg', 'depth', 'edge'], 'NYUD');
  expect((await run([at('in/wide.png')], { tasks: ['edge', 'depth'] })).exit).toBe(0);
  expect(readdirSync(at('out')).filter((name) => name.includes('raw')))
    .toEqual(['wide.depth.raw.npy', 'wide.edge.raw.png']);
  const depth = readNpy(at('out/wide.depth.raw.npy'));
  expect([depth.shape, depth.data.constructor]).toEqual([[20, 50], Float32Array]);
  expect(new Set(readLabelPng(at('out/wide.edge.raw.png')).data).size).toBeGreaterThan(1);
  await expect(run([at('in')], { tasks: ['sal'] })).rejects
    .toThrow('--tasks: must be of the model\'s semseg, depth, edge, got "sal"');
});

test('runPrediction() says of each bad file what is wrong, goes on, and ends with exit code 1', async () => {
  const { at, run } = await scene(['semseg', 'normals']);
  const jpeg = readFileSync(at('in/deep/turned.jpg'));
  writeFileSync(at('in/cut.jpg'), jpeg.subarray(0, jpeg.length / 2));
  writeFileSync(at('in/cut.png'), readFileSync(at('in/wide.png')).subarray(0, 300));
  writeFileSync(at('in/wide.jpg'), jpeg);
  writeFileSync(at('in/text.png'), 'no picture');
  const { lines, exit } = await run([at('in'), at('gone.png')]);
  expect(exit).toBe(1);
  const errors = lines.filter((line) => line.startsWith('error: '));
  expect(errors.map((line) => line.replaceAll(at('/'), ''))).toEqual([
    'error: Cannot read "gone.png": no such file or folder',
    expect.stringMatching(/^error: Cannot read "in\/cut.jpg": /),
    expect.stringMatching(/^error: Cannot read "in\/cut.png": /),
    'error: Cannot read "in/text.png": it is neither a JPEG nor a PNG file',
  ]);
  expect(lines.at(-1)).toBe(`output     3 of 7 pictures in "${at('out')}"`);
  for (const name of ['wide', 'wide.png']) expect(existsSync(at(`out/${name}.semseg.raw.png`))).toBe(true);
});

test('runPrediction() refuses a file without decoders and one that --cfg does not describe', async () => {
  const { at, run } = await scene(['semseg', 'normals']);
  const state = randomState(modelSpec(tinyConfig({}, ['semseg', 'normals'])));
  const save = (kept: (name: string) => boolean): void =>
    writeSafetensors(at('model.safetensors'), new Map([...state].filter(([name]) => kept(name))), {});
  save((name) => name.startsWith('backbone.'));
  await expect(run([at('in')])).rejects.toThrow('must hold a whole model, it has no decoder');
  save((name) => !name.startsWith('backbone.layers.1.'));
  await expect(run([at('in')])).rejects.toThrow(/must hold every tensor of the model, \d+ are missing/);
  expect(existsSync(at('out'))).toBe(false);
});

test('predictionAt() is predictionMap() of the bilinearly resized outputs', () => {
  const logits = makeField(2, 2, Float32Array.of(4, 0, 0, 4, 1, 2, -3, 5));
  expect([...predictionAt('semseg', logits, 2, 4)]).toEqual([0, 0, 1, 1, 1, 1, 1, 1]);
  const vectors = makeField(1, 2, Float32Array.of(2, 0, 0, 0, 2, 0));
  const units = predictionAt('normals', vectors, 1, 3);
  expect([...units].map((value) => Number(value.toFixed(4))))
    .toEqual([1, 0.7071, 0, 0, 0.7071, 1, 0, 0, 0]);
  const same = makeField(1, 3, Float32Array.of(-1, 0, 7));
  expect(predictionAt('sal', same, 1, 3)).toEqual(predictionMap('sal', same.data, [1, 1, 1, 3]));
});

test('linearRows() repeats OpenCV\'s linear resize', () => {
  const rowAt = linearRows(makeField(1, 4, Float32Array.of(0, 10, 20, 40)), 1, 6);
  const want = [0, 5, 11.6667, 18.3333, 30, 40];
  [...rowAt(0)].forEach((value, x) => expect(value).toBeCloseTo(want[x]!, 4));
  const down = linearRows(makeField(2, 1, Float32Array.of(1, 3)), 1, 1);
  expect([...down(0)]).toEqual([2]);
});
