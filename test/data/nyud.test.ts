import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeNpy } from '../../src/data/npy.ts';
import { listNyud, NYUD_TASKS, readNyud, readNyudLabel } from '../../src/data/nyud.ts';
import { fitsBytes, type DataTask } from '../../src/data/sample.ts';
import { normaliseLevels, prepare, writeImage, writeLabel } from '../../src/data/transforms.ts';
import { goldenData, maxDifference, meanDifference } from '../support/golden_data.ts';

const ROOT = 'test/fixtures/data/nyud-mini';
const golden = goldenData(`${ROOT}.safetensors`);

test.each(['0001', '0002'])('readNyud() repeats %s of the release', async (id) => {
  const sample = await readNyud(ROOT, id, NYUD_TASKS);
  const raw = new Map(golden.under(`${id}.raw`));
  expect([...raw.keys()].sort()).toEqual(['image', ...NYUD_TASKS].sort());
  expect(sample.size).toEqual([36, 48]);
  for (const task of NYUD_TASKS) {
    expect([task, maxDifference(sample.labels.get(task)!.data, raw.get(task)!.data)]).toEqual([task, 0]);
  }
  expect(maxDifference(sample.image.data, raw.get('image')!.data)).toBeLessThanOrEqual(6);
});

test.each(['0001', '0002'])('prepare() of %s repeats the validation chain', async (id) => {
  const { image, labels } = prepare(await readNyud(ROOT, id, NYUD_TASKS), 32);
  for (const [field, { data }] of golden.under(`${id}.val32`)) {
    if (field === 'image') {
      const levels = new Uint8Array(data.length);
      writeImage(image, levels, 'wrap');
      expect(meanDifference(normaliseLevels(levels), data)).toBeLessThan(0.02);
    } else {
      const out = new (fitsBytes(field as DataTask) ? Uint8Array : Float32Array)(data.length);
      writeLabel(labels.get(field as DataTask)!, out);
      expect(maxDifference(out, data), field).toBeLessThanOrEqual(field === 'normals' ? 1e-5 : 0);
    }
  }
});

test('listNyud() wants the files of the requested tasks only', () => {
  const root = mkdtempSync(join(tmpdir(), 'nyud-'));
  cpSync(ROOT, root, { recursive: true });
  rmSync(join(root, 'depth', '0002.npy'));
  expect(listNyud(root, 'train', ['semseg', 'edge'])).toEqual(['0001', '0002']);
  expect(() => listNyud(root, 'train', ['depth'])).toThrow(
    `Cannot read "${root}/depth/0002.npy": no such file, which task "depth" of "0002" needs`);
  rmSync(root, { recursive: true });
});

test('readNyudLabel() takes an edge from ½ on, and names a file whose numbers are not finite', () => {
  const root = mkdtempSync(join(tmpdir(), 'nyud-'));
  mkdirSync(join(root, 'edge'));
  const write = (...values: number[]): void =>
    writeNpy(join(root, 'edge', 'a.npy'), [1, values.length], Float32Array.from(values));
  write(0, 0.49, 0.5, 1, 7, -1);
  expect([...readNyudLabel(root, 'a', 'edge').data]).toEqual([0, 0, 1, 1, 1, 0]);
  write(0, Infinity);
  expect(() => readNyudLabel(root, 'a', 'edge')).toThrow(
    `Cannot read "${root}/edge/a.npy": its numbers must be finite, got Infinity`);
  rmSync(root, { recursive: true });
});
