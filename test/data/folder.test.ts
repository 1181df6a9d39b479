import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { listSamples, readSample, type DatasetSpec } from '../../src/data/dataset.ts';
import { folderIds } from '../../src/data/folder.ts';
import { openLoader } from '../../src/data/loader.ts';
import { writeGrayPng } from '../../src/data/png.ts';
import type { DataTask } from '../../src/data/sample.ts';
import { readDataFile } from '../../src/train/data_file.ts';
import { folderData } from '../support/folder_data.ts';
import { folderWith } from '../support/folder.ts';

const TASKS = ['semseg', 'sal', 'normals', 'depth'] as const satisfies DataTask[];

function spec(yaml: string, split = 'train', tasks: readonly DataTask[] = TASKS): DatasetSpec {
  const layout = readDataFile(yaml);
  return { kind: 'folder', root: layout.root, layout, split, tasks };
}

test('readSample() of a folder decodes every kind of label', async () => {
  const { yaml } = await folderData();
  const jpeg = await readSample(spec(yaml), 'day/a');
  expect([jpeg.size, jpeg.image.channels]).toEqual([[16, 20], 3]);
  const label = (task: DataTask): Float32Array => jpeg.labels.get(task)!.data;
  expect([0, 4, 8, 12].map((y) => label('semseg')[20 * y])).toEqual([255, 0, 1, 2]);
  expect([0, 3, 4, 15].map((y) => label('sal')[20 * y])).toEqual([1, 1, 0, 0]);
  const rounded = (values: Float32Array): number[] => Array.from(values, (value) => Number(value.toFixed(2)));
  expect(rounded(label('normals').subarray(237, 243))).toEqual([0, 0, 0, -0, -0, 1]);
  expect(rounded(label('depth').subarray(0, 3))).toEqual([0, 1.01, 1.02]);
  const png = await readSample(spec(yaml), 'b');
  expect([...png.labels.get('depth')!.data.subarray(0, 2)]).toEqual([0, 10]);
});

test('openLoader() makes batches of a folder as of any data set', async () => {
  const { yaml } = await folderData();
  const options = { size: 8, batchSize: 2, seed: 1, workers: 0 };
  const loader = openLoader({ ...options, dataset: spec(yaml, 'val'), train: false });
  const batch = await loader.next();
  expect([loader.samples, batch.ids, batch.labels['normals']!.length]).toEqual([2, ['e', 'f'], 2 * 3 * 64]);
  expect(batch.labels['normals']!.slice(0, 2)).toEqual(Float32Array.of(255, 255));
  expect(batch.labels['depth']![0]).toBe(255);
  await loader.close();
});

test('next() has 255 instead of class 0 where a warp brought it in, if so wanted', async () => {
  const { yaml } = await folderData();
  const labels = async (warpFill: 'zero' | 'ignore'): Promise<number[]> => {
    const dataset = spec(yaml, 'train', ['semseg']);
    const options = { size: 16, batchSize: 4, seed: 1, workers: 0, train: true, warpFill };
    const loader = openLoader({ ...options, dataset });
    const batch = await loader.next();
    await loader.close();
    return [...batch.labels['semseg']!];
  };
  const [zero, ignore] = [await labels('zero'), await labels('ignore')];
  const changed = zero.map((value, i) => [value, ignore[i]!] as const).filter(([a, b]) => a !== b);
  expect(changed.length).toBeGreaterThan(20);
  expect(new Set(changed.map((pair) => pair.join()))).toEqual(new Set(['0,255']));
});

test('folderIds() takes lists with and without endings, or keeps the same share apart', async () => {
  const lists = await folderData();
  expect(folderIds(readDataFile(lists.yaml), 'train')).toEqual(['day/a', 'b', 'c', 'd']);
  expect(() => listSamples(spec(lists.yaml, 'test'))).toThrow('the split must be of train, val, got "test"');
  const shared = await folderData('images: pictures\ntasks: {sal: {folder: masks}}\nsplits: {val: 0.34}\n');
  const split = (name: string): string[] => folderIds(readDataFile(shared.yaml), name);
  expect([split('train').length, split('val').length]).toEqual([4, 2]);
  expect([...split('train'), ...split('val')].toSorted()).toEqual(shared.ids.toSorted());
  expect(split('val')).toEqual(split('val'));
  writeFileSync(join(shared.root, 'pictures/b.jpg'), '');
  expect(() => split('val')).toThrow('another image has the same name with another ending');
});

test('readSample() of a folder names the file whose label cannot be', async () => {
  const { root, yaml } = await folderData();
  writeGrayPng(join(root, 'classes/b.png'), { width: 2, height: 1, data: Uint8Array.of(0, 4) });
  await expect(readSample(spec(yaml), 'b')).rejects
    .toThrow(`Cannot read "${root}/classes/b.png": a class must be 1 to 3 or 0, got 4`);
  rmSync(join(root, 'depth/c.npy'));
  expect(() => listSamples(spec(yaml))).toThrow(
    `Cannot read "${root}/depth/c.npy": no such file nor "${root}/depth/c.png", which task "depth" of "c"`);
  writeFileSync(join(root, 'train.txt'), '../../etc/passwd\n');
  expect(() => listSamples(spec(yaml))).toThrow('an id must stay inside the dataset, got "../../etc/passwd"');
});

test('readDataFile() tells file, line and field of each problem', () => {
  const problems = (text: string): string[] => {
    const root = folderWith({ 'd.yaml': text });
    mkdirSync(join(root, 'images'));
    try {
      readDataFile(join(root, 'd.yaml'));
    } catch (error) {
      return (error as Error).message.replaceAll(`${root}/`, '').split('\n');
    }
    return [];
  };
  const whole = 'images: images\ntasks: {sal: {folder: masks}}\nsplits: {val: 0.1}\n';
  expect(problems(whole)).toEqual([]);
  expect(problems(whole.replace('masks', '../masks'))).toEqual([
    'd.yaml:2:23 tasks.sal.folder: must be a path inside the root, without "..", got "../masks"']);
  expect(problems(whole.replace('folder', 'fodler'))).toEqual([
    'd.yaml:2:14 tasks.sal.folder: must be a path inside the root, without "..", got nothing',
    'd.yaml:2:15 tasks.sal.fodler: no such field, did you mean "folder"']);
  expect(problems(whole.replace('sal:', 'semseg:'))).toEqual([expect.stringMatching(
    /^d.yaml:2:17 tasks.semseg.classes: must be a number of classes from 2 to 255, or a list of their/)]);
  expect(problems(whole.replace('0.1', '1.5'))).toEqual([
    expect.stringMatching(/^d.yaml:3:15 splits.val: must be a list inside the root, or for "val" alone/)]);
  expect(problems(whole.replace('val: 0.1', 'val: val.txt'))).toEqual([
    'd.yaml:3:9 splits: must have lists "train" and "val", "train" is missing']);
  expect(problems(whole.replace('val: 0.1', 'train: 0.9, val: 0.1'))[0]).toContain('must stand alone');
  expect(problems('images: /etc\n')).toEqual([
    'd.yaml:1:9 images: must be a path inside the root, without "..", got "/etc"',
    'd.yaml tasks: must be a group of fields, got nothing',
    'd.yaml splits: must be a group of fields, got nothing']);
  expect(problems(whole.replace('{sal: {folder: masks}}', '{}'))).toEqual([
    'd.yaml tasks: must describe at least one task, got none']);
});

test('readDataFile() reads the example of the documentation', () => {
  const [, example] = /```yaml\n([^]*?)```/.exec(readFileSync('docs/data.md', 'utf8'))!;
  const root = folderWith({ 'street.yaml': example! });
  const layout = readDataFile(join(root, 'street.yaml'));
  expect(Object.keys(layout.tasks)).toEqual(['semseg', 'human_parts', 'sal', 'edge', 'normals', 'depth']);
  expect(layout.tasks.semseg).toEqual({
    folder: 'labels/classes', names: ['road', 'pavement', 'building', 'car'], first: 0, ignore: [255] });
  const { human_parts: parts, depth } = layout.tasks;
  expect([layout.root, parts!.names.length, depth!.scale]).toEqual([root, 7, 1e-3]);
});
