import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkSplit } from '../../src/data/check.ts';
import type { DatasetSpec } from '../../src/data/dataset.ts';
import { inspectSample } from '../../src/data/inspect.ts';
import { writeNpy } from '../../src/data/npy.ts';
import { PASCAL_TASKS } from '../../src/data/pascal.ts';
import { writeGrayPng } from '../../src/data/png.ts';
import { readDataFile } from '../../src/train/data_file.ts';
import { folderWith } from '../support/folder.ts';
import { folderData } from '../support/folder_data.ts';

const PASCAL: DatasetSpec = {
  kind: 'pascal', root: 'test/fixtures/data/pascal-mini', split: 'train', tasks: PASCAL_TASKS,
};

function folderSpec(yaml: string): DatasetSpec {
  const layout = readDataFile(yaml);
  const tasks = ['semseg', 'sal', 'normals', 'depth'] as const;
  return { kind: 'folder', root: layout.root, layout, split: 'train', tasks };
}

test('checkSplit() counts classes, ignored pixels and measures of a split', async () => {
  const { yaml } = await folderData();
  const { images, good, sizes, tasks, problems, notes } = await checkSplit(folderSpec(yaml), { workers: 2 });
  expect([images, good, problems, notes]).toEqual([4, ['day/a', 'b', 'c', 'd'], [], []]);
  expect(sizes).toEqual({ smallest: [16, 20], median: [16, 20], largest: [16, 20] });
  const { semseg, sal, normals, depth } = tasks;
  expect([semseg!.labels, semseg!.pixels, semseg!.ignored]).toEqual([4, 4 * 320, 4 * 80]);
  const each = { pixels: 4 * 80, images: 4 };
  expect(semseg!.classes).toEqual(['sky', 'road', 'car'].map((name) => ({ name, ...each })));
  expect(sal!.classes.map(({ pixels }) => pixels)).toEqual([4 * 240, 4 * 80]);
  expect([normals!.ignored, normals!.classes, normals!.measured]).toEqual([4 * 80, [], null]);
  const { min, max } = depth!.measured!;
  expect([depth!.ignored, min.toFixed(2), max.toFixed(2)]).toEqual([4, '1.01', '10.00']);
});

test('checkSplit() names each missing, damaged and misfitting file, and goes on', async () => {
  const { root, yaml } = await folderData();
  const at = (path: string): string => join(root, path);
  rmSync(at('pictures/b.png'));
  rmSync(at('depth/b.png'));
  truncateSync(at('classes/c.png'), 60);
  writeNpy(at('depth/c.npy'), [16, 20], new Float32Array(320).fill(-1));
  writeGrayPng(at('masks/d.png'), { width: 7, height: 16, data: new Uint8Array(112) });
  writeGrayPng(at('classes/d.png'), { width: 10, height: 8, data: new Uint8Array(80) });
  writeFileSync(at('train.txt'), 'day/a\nb\nc\nd\nb\n');
  const seen: number[] = [];
  const { images, good, problems, notes, tasks } = await checkSplit(folderSpec(yaml), {
    workers: 1, onProgress: (done) => seen.push(done),
  });
  expect([images, good, seen]).toEqual([4, ['day/a'], [1, 2, 3, 4]]);
  expect(problems.map((problem) => problem.replaceAll(`${root}/`, ''))).toEqual([
    '"b" stands in the list more than once',
    expect.stringMatching(/^Cannot read "pictures\/b.jpg": no such file nor .*, which the image of "b"/),
    expect.stringMatching(/^Cannot read "depth\/b.npy": no such file nor "depth\/b.png", which task "depth"/),
    'Cannot read "classes/c.png": the file is cut short or damaged',
    'Cannot read "depth/c.npy": a depth must be 0 or more, got -1',
    '"d": sal is 7x16, its image 20x16: one of them is of something else',
  ]);
  expect(notes).toEqual(['"d": semseg is 10x8, its image 20x16: it is resized']);
  expect([tasks.semseg!.labels, tasks.sal!.labels, tasks.depth!.labels]).toEqual([3, 4, 2]);
});

test('checkSplit() of PASCAL counts who has no parts to mark', async () => {
  const { labels, problems, size } = await inspectSample(PASCAL, '2008_000001');
  expect([problems, Object.keys(labels)]).toEqual([[], [...PASCAL_TASKS]]);
  expect(labels.semseg!.pixels).toBe(size![0] * size![1]);
  const { tasks } = await checkSplit({ ...PASCAL, split: 'val' }, { workers: 1 });
  expect(tasks.human_parts!.labels + tasks.human_parts!.without).toBe(
    readFileSync(join(PASCAL.root, 'ImageSets/Context/val.txt'), 'utf8').trim().split('\n').length);
});

test('inspectSample() names a damaged file once, whichever tasks need it', async () => {
  const root = folderWith();
  cpSync(PASCAL.root, root, { recursive: true });
  truncateSync(join(root, 'pascal-context/trainval/2008_000001.mat'), 200);
  const { problems, labels } = await inspectSample({ ...PASCAL, root }, '2008_000001');
  expect([problems.length, Object.keys(labels)]).toEqual([1, ['semseg', 'human_parts', 'sal']]);
  expect(problems[0]).toContain('pascal-context/trainval/2008_000001.mat');
});

test('checkSplit() ends when it is told to', async () => {
  const { yaml } = await folderData();
  const controller = new AbortController();
  const check = checkSplit(folderSpec(yaml), { workers: 1, signal: controller.signal,
    onProgress: () => controller.abort(new Error('enough')) });
  await expect(check).rejects.toThrow('enough');
});
