import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCheckData, type CheckDataOptions } from '../../src/train/check_data.ts';
import type { Exit } from '../../src/train/terminal.ts';
import { folderData } from '../support/folder_data.ts';
import { listen } from '../support/tiny_run.ts';

async function check(options: CheckDataOptions): Promise<{ lines: string[]; exit: number }> {
  const terminal = listen();
  const exit = await runCheckData(options, terminal)
    .then(() => 0, (error: Exit) => error.exitCode ?? Promise.reject(error));
  return { lines: terminal.lines, exit };
}

test('runCheckData() says what a data set holds', async () => {
  const { yaml } = await folderData();
  const { lines, exit } = await check({ data: yaml, tasks: ['semseg', 'sal', 'depth'] });
  expect(exit).toBe(0);
  expect(lines.slice(0, 7)).toEqual([
    'train       4 images, all whole',
    'sizes       20x16 to 20x16, median 20x16',
    'semseg      4 labels, 25 % of the pixels ignored',
    '            sky 33.3 %, road 33.3 %, car 33.3 %',
    'sal         4 labels, 0 % of the pixels ignored',
    '            elsewhere 75 %, there 25 %',
    'depth       4 labels, 0.313 % of the pixels ignored, 1.01 to 10, mean 6.3',
  ]);
  expect(lines[7]).toBe('val         2 images, all whole');
});

test('runCheckData() names problems, writes a list without them, and ends with exit code 1', async () => {
  const { root, yaml } = await folderData();
  rmSync(join(root, 'masks/c.png'));
  const list = join(root, 'good.txt');
  const { lines, exit } = await check({ data: yaml, splits: ['train'], fixList: list });
  expect(exit).toBe(1);
  expect(lines.at(-1)).toBe(`list        3 of 4 images in "${list}"`);
  expect(lines.filter((line) => line.startsWith('problem'))).toEqual([
    `problem     Cannot read "${root}/masks/c.png": no such file, which task "sal" of "c" needs`]);
  expect(readFileSync(list, 'utf8')).toBe('day/a\nb\nd\n');
  writeFileSync(join(root, 'train.txt'), readFileSync(list));
  expect((await check({ data: yaml })).exit).toBe(0);
});

test('runCheckData() gives all of it as JSON, images of several splits among it', async () => {
  const { root, yaml } = await folderData();
  writeFileSync(join(root, 'lists/val.txt'), 'e\nb\n');
  const { lines } = await check({ data: yaml, json: true, tasks: ['semseg'] });
  const report = JSON.parse(lines.join('\n')) as {
    splits: { split: string; images: number; whole: number; tasks: { semseg: { ignored: number } } }[];
  };
  const splits = [{ split: 'train', whole: 4 }, { images: 2 }];
  expect(report).toMatchObject({ in_several_splits: ['b'], splits });
  expect(report.splits[1]!.tasks.semseg.ignored).toBe(160);
});

test('runCheckData() refuses what it cannot answer', async () => {
  const { yaml } = await folderData();
  const refused = (options: CheckDataOptions) => expect(check(options)).rejects;
  await refused({}).toThrow('one of --pascal, --nyud and --data must be given');
  await refused({ data: yaml, fixList: 'x' }).toThrow('--fix-list: must go with one --split, got train,val');
  await refused({ data: yaml, tasks: ['edge'] }).toThrow('semseg, sal, normals, depth, got "edge"');
});
