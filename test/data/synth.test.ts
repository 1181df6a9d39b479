import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readMat } from '../../src/data/mat.ts';
import { listPascal, PASCAL_TASKS, readPascal } from '../../src/data/pascal.ts';
import { NORMALS_CLASSES, PART_CLASS, PASCAL_SEMSEG_CLASSES } from '../../src/data/pascal_classes.ts';
import { makeField } from '../../src/data/sample.ts';
import { scaleRotate } from '../../src/data/transforms.ts';
import { readRgbPng } from '../../src/data/png.ts';
import { readJpeg } from '../../src/data/jpeg.ts';
import { rasterise, viewOf } from '../../src/data/synth/raster.ts';
import { salience } from '../../src/data/synth/labels.ts';
import { normalMap } from '../../src/data/synth/normals.ts';
import { SYNTH_CLASSES } from '../../src/data/synth/classes.ts';
import type { SynthPicture } from '../../src/data/synth/picture.ts';
import { synthPicture, writeSyntheticPascal, type SynthOptions } from '../../src/data/synth/write.ts';
import { translation } from '../../src/data/synth/affine.ts';
import { plain } from '../../src/data/synth/material.ts';
import { folderWith } from '../support/folder.ts';

const SMALL = { size: [48, 64], seed: 5 } as const;

function hash(...arrays: readonly ArrayBufferView[]): string {
  const sum = createHash('sha256');
  for (const { buffer, byteOffset, byteLength } of arrays)
    sum.update(new Uint8Array(buffer, byteOffset, byteLength));
  return sum.digest('hex');
}

const hashOf = ({ data, labels }: SynthPicture): string =>
  hash(
    data,
    labels.semseg,
    labels.context,
    labels.normals,
    labels.saliency,
    ...labels.things.map(({ mask }) => mask),
  );

async function writtenSet(options: Partial<SynthOptions> = {}): Promise<string> {
  const root = folderWith();
  await writeSyntheticPascal({ root, train: 3, val: 2, ...SMALL, ...options });
  return root;
}

test('synthPicture() draws the same picture for the same seed, split and number only', () => {
  const first = hashOf(synthPicture('train', 0, SMALL));
  expect(hashOf(synthPicture('train', 0, SMALL))).toBe(first);
  const others = [
    synthPicture('train', 1, SMALL),
    synthPicture('val', 0, SMALL),
    synthPicture('train', 0, { ...SMALL, seed: 6 }),
  ].map(hashOf);
  expect(new Set([first, ...others]).size).toBe(4);
});

test('writeSyntheticPascal() writes the same bytes again, however many pictures follow', async () => {
  const [once, longer] = [await writtenSet({ train: 1, val: 1 }), await writtenSet({ train: 2, val: 1 })];
  const files = readdirSync(once, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files.length).toBe(2 * 6 + 4);
  for (const entry of files) {
    if (entry.parentPath.includes('ImageSets')) continue;
    const path = join(entry.parentPath, entry.name);
    expect(readFileSync(path).equals(readFileSync(path.replace(once, longer))), path).toBe(true);
  }
});

test('writeSyntheticPascal() writes all that the reader of PASCAL_MT asks for', async () => {
  const told: string[] = [];
  const root = folderWith();
  await writeSyntheticPascal({ root, train: 3, val: 2, ...SMALL }, (written, total) =>
    told.push(`${written}/${total}`),
  );
  expect(told).toEqual(['1/5', '2/5', '3/5', '4/5', '5/5']);
  expect(listPascal(root, 'train', PASCAL_TASKS)).toEqual(['train_000001', 'train_000002', 'train_000003']);
  expect(listPascal(root, 'val', PASCAL_TASKS)).toEqual(['val_000001', 'val_000002']);
});

test('readPascal() reads back the labels that the generator meant', async () => {
  const root = await writtenSet();
  for (const [i, id] of listPascal(root, 'train', PASCAL_TASKS).entries()) {
    const { data, labels } = synthPicture('train', i, SMALL);
    const sample = await readPascal(root, id, PASCAL_TASKS);
    expect(sample.size).toEqual(SMALL.size);
    expect(sample.labels.get('semseg')!.data).toEqual(Float32Array.from(labels.semseg));
    expect(sample.labels.get('sal')!.data).toEqual(labels.saliency.map((share) => (share >= 0.5 ? 1 : 0)));

    const parts = new Float32Array(labels.semseg.length);
    for (const { mask, name } of labels.things.flatMap((thing) => thing.parts)) {
      mask.forEach((inside, at) => {
        if (inside) parts[at] = PART_CLASS.get(name)!;
      });
    }
    expect(sample.labels.get('human_parts')!.data).toEqual(parts);

    const counts = (at: number): boolean => NORMALS_CLASSES.has(labels.context[Math.floor(at / 3)]!);
    sample.labels.get('normals')!.data.forEach((value, at) => {
      expect(Math.abs(value - (counts(at) ? labels.normals[at]! : 0))).toBeLessThan(1 / 255 + 1e-6);
    });

    const map = readMat(join(root, 'pascal-context/trainval', `${id}.mat`))['LabelMap']!;
    const columns = (at: number): number => labels.context[(at % 48) * 64 + Math.floor(at / 48)]!;
    expect(map).toEqual({
      kind: 'numeric',
      class: 'uint16',
      dims: [48, 64],
      data: Uint16Array.from({ length: 48 * 64 }, (_, at) => columns(at)),
    });

    const picture = await readJpeg(join(root, 'JPEGImages', `${id}.jpg`));
    const difference =
      picture.data.reduce((sum, value, at) => sum + Math.abs(value - data[at]!), 0) / data.length;
    expect(difference).toBeLessThan(6);
  }
});

test('writeSyntheticPascal() stores normals of length 1 in eight bits, facing the camera', async () => {
  const root = await writtenSet();
  for (const name of readdirSync(join(root, 'normals_distill'))) {
    const { data } = readRgbPng(join(root, 'normals_distill', name));
    let away = 0;
    for (let at = 0; at < data.length; at += 3) {
      const n = [0, 1, 2].map((c) => (2 * data[at + c]!) / 255 - 1);
      expect(Math.abs(Math.hypot(...n) - 1)).toBeLessThan(Math.sqrt(3) / 255);
      if (n[2]! < -0.35) away += 1; // perspective shows a little of what faces sideways
    }
    expect(away / (data.length / 3)).toBeLessThan(0.01);
  }
});

test('writeSyntheticPascal() draws sizes from a range and refuses a folder that is in use', async () => {
  const size = { from: [32, 40], to: [64, 80] } as const;
  const root = await writtenSet({ train: 4, size });
  const index = JSON.parse(readFileSync(join(root, 'ImageSets/Parts/train.txt'), 'utf8')) as Record<
    string,
    number[]
  >;
  const heights = new Set<number>();
  for (let i = 0; i < 4; i++) {
    const { width, height, labels } = synthPicture('train', i, { size, seed: 5 });
    heights.add(height);
    expect(height >= 32 && height <= 64 && width >= 40 && width <= 80).toBe(true);
    expect(index[`train_00000${i + 1}`]).toEqual(labels.things.map(({ voc }) => voc));
  }
  expect(heights.size).toBeGreaterThan(2);
  await expect(writeSyntheticPascal({ root, train: 1, val: 1, ...SMALL })).rejects.toThrow(
    `writeSyntheticPascal: "${root}" holds a data set already, choose another folder`,
  );
  await expect(writeSyntheticPascal({ root: folderWith(), train: 0, val: 1, ...SMALL })).rejects.toThrow(
    'writeSyntheticPascal: train must be a whole number from 1, got 0',
  );
});

test('synthPicture() shows people in six of ten pictures, and in 150 every class and part', () => {
  const [classes, parts] = [new Set<number>(), new Set<string>()];
  const counts = { people: 0, things: 0, subjects: 0, border: 0 };
  const pictures = Array.from({ length: 150 }, (_, i) => synthPicture('train', i, SMALL).labels);
  for (const { semseg, things, saliency } of pictures) {
    if (things.some(({ name }) => name === 'person')) counts.people += 1;
    for (const { name, voc, parts: shown } of things) {
      classes.add(voc);
      expect(PASCAL_SEMSEG_CLASSES[voc]).toBe(name);
      for (const part of shown) parts.add(part.name);
    }
    const salient = saliency.reduce((a, b) => a + b, 0) / saliency.length;
    if (salient > 0.02 && salient < 0.9) counts.subjects += 1;
    counts.things += things.length;
    counts.border += semseg.filter((index) => index === 255).length / semseg.length;
  }
  expect([...classes].sort()).toEqual(
    Object.values(SYNTH_CLASSES)
      .map(({ voc }) => voc as number)
      .sort(),
  );
  expect(counts.people).toBeGreaterThan(75);
  expect(counts.people).toBeLessThan(105);
  expect(counts.things / 150).toBeGreaterThan(1.5);
  expect(counts.subjects).toBeGreaterThan(140);
  expect(counts.border / 150).toBeLessThan(0.1);
  expect([...parts].filter((name) => !PART_CLASS.has(name))).toEqual([]);
  expect(new Set([...parts].map((name) => PART_CLASS.get(name)))).toEqual(new Set([1, 2, 3, 4, 5, 6]));
  expect([...parts]).toEqual(
    expect.arrayContaining(['head', 'hair', 'torso', 'neck', 'luarm', 'rlarm', 'lhand', 'rfoot']),
  );
});

test('salience() prefers the large one of two in the middle, and the middle to the rim', () => {
  const block = (left: number, right: number): number => {
    const mask = Uint8Array.from({ length: 1600 }, (_, at) => (at % 40 >= left && at % 40 < right ? 1 : 0));
    return salience({ mask, area: (right - left) * 40 }, 40, 40);
  };
  expect(block(10, 30)).toBeCloseTo(Math.sqrt(800), 10);
  expect(block(10, 30)).toBeGreaterThan(block(15, 25));
  expect(block(15, 25)).toBeGreaterThan(block(0, 15));
});

/** Normals [32, 32, 3] of a ball straight before the camera. */
function ballNormals(): Float32Array {
  const ball = {
    kind: 'ball',
    taper: 0,
    material: plain([1, 1, 1]),
    place: translation([0, 0, 0]),
    toWorld: translation([0, 0, -3]),
    fromWorld: translation([0, 0, 3]),
    thing: 0,
    label: 1,
  } as const;
  const view = viewOf({ position: [0, 0, 0], pitch: 0, focal: 1 });
  const map = rasterise([ball], view, 64, 64);
  const samples = Uint16Array.from(map.solid, (solid) => solid + 1);
  const corner = (at: number): number => Math.floor(at / 32) * 128 + (at % 32) * 2;
  const pixels = Uint16Array.from({ length: 1024 }, (_, at) => samples[corner(at)]!);
  return normalMap(view, map, samples, pixels);
}

const normalAt = (normals: Float32Array, x: number, y: number): number[] =>
  [...normals.subarray((y * 32 + x) * 3, (y * 32 + x) * 3 + 3)];

test('normalMap() has x to the right, y down and z to the camera', () => {
  const normals = ballNormals();
  expect(normalAt(normals, 0, 0)).toEqual([0, 0, 1]); // sky
  expect(normalAt(normals, 16, 16)[2]).toBeGreaterThan(0.995);
  expect(normalAt(normals, 24, 16)[0]).toBeGreaterThan(0.5); // the right half faces right
  expect(normalAt(normals, 16, 24)[1]).toBeGreaterThan(0.5); // the lower half faces down
  expect(normalAt(normals, 16, 8)[1]).toBeLessThan(-0.5);
});

test('normalMap() has the axes that scaleRotate() turns: a ball looks the same from every side', () => {
  const normals = ballNormals();
  const image = makeField(32, 32, new Float32Array(3 * 1024));
  const labels = new Map([['normals', makeField(32, 32, normals)]] as const);
  const turned = scaleRotate({ id: 'ball', size: [32, 32], image, labels }, 20, 1).labels.get('normals')!;
  for (const [x, y] of [[16, 10], [22, 16], [10, 21], [20, 20]] as const) {
    const [got, want] = [normalAt(turned.data, x, y), normalAt(normals, x, y)];
    for (let c = 0; c < 3; c++) expect(Math.abs(got[c]! - want[c]!)).toBeLessThan(0.08);
  }
});
