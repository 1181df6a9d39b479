import { expect, test } from 'vitest';
import { SIZE, writeSources } from '../../bench/support/loader_data.ts';
import { listSamples, readSample } from '../../src/data/dataset.ts';
import { maxDifference } from '../support/golden_data.ts';
import { folderWith } from '../support/folder.ts';

test('writeSources() writes the same scenes with the same labels, once as JPEG and once as PNG', async () => {
  const [jpeg, png] = await writeSources(folderWith(), 1);
  expect([jpeg!.name, png!.name]).toEqual(['JPEG', 'PNG']);
  const [first] = listSamples(jpeg!.dataset);
  expect(listSamples(png!.dataset)).toEqual([first]);
  const [a, b] = [await readSample(jpeg!.dataset, first!), await readSample(png!.dataset, first!)];
  expect([a.size, b.size]).toEqual([SIZE, SIZE]);
  expect(maxDifference(a.image.data, b.image.data)).toBe(0);
  for (const task of ['semseg', 'sal', 'human_parts'] as const) {
    expect([task, maxDifference(a.labels.get(task)!.data, b.labels.get(task)!.data)]).toEqual([task, 0]);
  }
  expect(new Set(a.labels.get('semseg')!.data).size).toBeGreaterThan(1);
});
