import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { listPascal, PASCAL_TASKS, readPascal } from '../../src/data/pascal.ts';
import { NORMALS_CLASSES } from '../../src/data/pascal_classes.ts';
import { fitsBytes, type DataTask } from '../../src/data/sample.ts';
import { normaliseLevels, prepare, writeImage, writeLabel } from '../../src/data/transforms.ts';
import { goldenData, maxDifference, meanDifference } from '../support/golden_data.ts';

const ROOT = 'test/fixtures/data/pascal-mini';
const golden = goldenData(`${ROOT}.safetensors`);
const facts = JSON.parse(readFileSync(`${ROOT}.json`, 'utf8')) as {
  validNormalClasses: number[]; meta: Record<string, { im_size: [number, number] }>;
};

const copies: string[] = [];
/** A copy of the dataset that a test may damage. */
function copyRoot(): string {
  const root = mkdtempSync(join(tmpdir(), 'pascal-'));
  copies.push(root);
  cpSync(ROOT, root, { recursive: true });
  return root;
}
afterEach(() => copies.splice(0).forEach((root) => rmSync(root, { recursive: true })));

// Decoders differ where the colours of a JPEG are stored at half its size, so one bound is wider.
const LEVELS = [['2008_000001', 6], ['2008_000002', 2], ['2009_000003', 6]] as const;

test.each(LEVELS)('readPascal() repeats %s of the release', async (id, levels) => {
  const sample = await readPascal(ROOT, id, PASCAL_TASKS);
  expect(sample.size).toEqual(facts.meta[id]!.im_size);
  const raw = new Map(golden.under(`${id}.raw`));
  expect([...raw.keys()].sort()).toEqual(['image', ...PASCAL_TASKS].sort());
  for (const task of PASCAL_TASKS) {
    expect([task, maxDifference(sample.labels.get(task)!.data, raw.get(task)!.data)]).toEqual([task, 0]);
  }
  expect(maxDifference(sample.image.data, raw.get('image')!.data)).toBeLessThanOrEqual(levels);
});

test.each(LEVELS)('prepare() of %s repeats the validation chain', async (id) => {
  const { image, labels } = prepare(await readPascal(ROOT, id, PASCAL_TASKS), 32);
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

test('NORMALS_CLASSES are those of the release', () => {
  expect([...NORMALS_CLASSES].sort()).toEqual(facts.validNormalClasses.sort());
});

test('listPascal() gives the ids of a split in order', () => {
  expect(listPascal(ROOT, 'train', PASCAL_TASKS)).toEqual(['2008_000001', '2008_000002']);
  expect(listPascal(ROOT, 'val', ['semseg'])).toEqual(['2009_000003']);
});

test('listPascal() keeps only images with people where their parts are the only task', () => {
  expect(listPascal(ROOT, 'train', ['human_parts'])).toEqual(['2008_000001']);
  expect(listPascal(ROOT, 'train', ['human_parts', 'sal'])).toHaveLength(2);
});

test('listPascal() makes the index of parts anew where it is missing, stale or broken', () => {
  const root = copyRoot();
  const path = join(root, 'ImageSets', 'Parts', 'train.txt');
  const official = readFileSync(path, 'utf8');
  for (const content of [null, '{"2008_000001": [15]}', '{', '{"2008_000001": 15, "2008_000002": [7]}']) {
    if (content === null) rmSync(path);
    else writeFileSync(path, content);
    listPascal(root, 'train', ['human_parts']);
    expect(readFileSync(path, 'utf8')).toBe(official);
  }
});

test('listPascal() names the missing file and the task that needs it', () => {
  const root = copyRoot();
  rmSync(join(root, 'sal_distill', '2008_000002.png'));
  rmSync(join(root, 'semseg', 'VOC12', '2008_000001.png'));
  rmSync(join(root, 'pascal-context'), { recursive: true });
  expect(() => listPascal(root, 'train', ['human_parts'])).not.toThrow();
  expect(() => listPascal(root, 'train', ['sal'])).toThrow(
    `${root}/sal_distill/2008_000002.png": no such file, which task "sal" of "2008_000002" needs`);
  expect(() => listPascal(root, 'train', ['semseg'])).toThrow(
    /VOC12\/2008_000001.png": no such file nor ".*pascal-context\/2008_000001.png", which task "semseg"/);
  expect(() => listPascal(root, 'train', ['normals'])).toThrow(
    /trainval\/2008_000001.mat": no such file, which task "normals" of "2008_000001" needs$/);
});

test.each(['../2008_000001', '/etc/passwd', 'a/../../b', 'C:\\x'])('listPascal() refuses the id %s', (id) => {
  const root = copyRoot();
  writeFileSync(join(root, 'ImageSets', 'Context', 'val.txt'), `2009_000003\n${id}\n`);
  expect(() => listPascal(root, 'val', ['sal'])).toThrow(
    `Cannot read "${root}/ImageSets/Context/val.txt": an id must stay inside the dataset, got "${id}"`);
});
