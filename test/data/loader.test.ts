import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { DatasetSpec } from '../../src/data/dataset.ts';
import { openLoader } from '../../src/data/loader.ts';
import type { Batch, Loader, LoaderOptions } from '../../src/data/loader.ts';
import { PASCAL_TASKS, readPascal } from '../../src/data/pascal.ts';
import { sampleUniforms } from '../../src/data/order.ts';
import { drawAugmentation, prepare, writeImage } from '../../src/data/transforms.ts';

const [IMAGES, SIZE] = [7, 24];
const folders: string[] = [];
const loaders: Loader[] = [];
afterEach(async () => {
  await Promise.all(loaders.splice(0).map((loader) => loader.close()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** The miniature dataset, its pictures repeated under new names: enough for several batches. */
function manyImages(): string {
  const [from, to] = ['test/fixtures/data/pascal-mini', mkdtempSync(join(tmpdir(), 'loader-'))];
  folders.push(to);
  const ids = Array.from({ length: IMAGES }, (_, i) => `img${i}`);
  ids.forEach((id, i) => {
    const source = ['2008_000001', '2009_000003'][i % 2]!;
    for (const [folder, ending] of [
      ['JPEGImages', 'jpg'], ['semseg/VOC12', 'png'], ['human_parts', 'mat'], ['sal_distill', 'png'],
      ['normals_distill', 'png'], ['pascal-context/trainval', 'mat'],
    ]) cpSync(join(from, folder!, `${source}.${ending}`), join(to, folder!, `${id}.${ending}`));
  });
  cpSync(join(from, 'ImageSets'), join(to, 'ImageSets'), { recursive: true });
  for (const split of ['train', 'val']) {
    writeFileSync(join(to, 'ImageSets', 'Context', `${split}.txt`), `${ids.join('\n')}\n`);
  }
  return to;
}

function spec(root: string, change: Partial<Exclude<DatasetSpec, { kind: 'folder' }>> = {}): DatasetSpec {
  return { kind: 'pascal', root, split: 'train', tasks: PASCAL_TASKS, ...change };
}

function open(root: string, options: Partial<LoaderOptions> = {}): Loader {
  const defaults = { dataset: spec(root), size: SIZE, batchSize: 3, train: true, seed: 5, workers: 0 };
  const loader = openLoader({ ...defaults, ...options });
  loaders.push(loader);
  return loader;
}

/** `count` batches, copied: the loader uses its buffers again. */
async function take(loader: Loader, count: number): Promise<Batch[]> {
  const batches: Batch[] = [];
  for (let i = 0; i < count; i++) {
    const batch = await loader.next();
    const labels = Object.entries(batch.labels).map(([task, label]) => [task, label.slice()] as const);
    batches.push({ ...batch, image: batch.image.slice(), labels: Object.fromEntries(labels) });
  }
  return batches;
}

test('next() gives the same batches with 0, 1 and 2 workers', async () => {
  const root = manyImages();
  const [inline, one, two] = await Promise.all([0, 1, 2].map((workers) => take(open(root, { workers }), 5)));
  expect(one).toEqual(inline);
  expect(two).toEqual(inline);
  expect(inline!.map(({ epoch, batch }) => [epoch, batch])).toEqual([[0, 0], [0, 1], [1, 0], [1, 1], [2, 0]]);
});

test('next() goes on at any batch as if it had run from the start', async () => {
  const root = manyImages();
  const all = await take(open(root), 5);
  expect(await take(open(root, { workers: 2, start: { epoch: 1, batch: 1 } }), 2)).toEqual(all.slice(3));
  expect(await take(open(root, { start: { epoch: 0, batch: 2 } }), 1)).toEqual(all.slice(2, 3));
});

test('next() shuffles each epoch anew, without repeats, and drops an incomplete batch', async () => {
  const root = manyImages();
  const loader = open(root, { batchSize: 2, dataset: spec(root, { tasks: ['sal'] }) });
  expect([loader.samples, loader.batchesPerEpoch]).toEqual([7, 3]);
  const ids = (await take(loader, 6)).map((batch) => batch.ids);
  const [first, second] = [ids.slice(0, 3).flat(), ids.slice(3).flat()];
  expect(new Set(first).size).toBe(6);
  expect(new Set(second).size).toBe(6);
  expect(second).not.toEqual(first);
});

test('next() in validation keeps the order and the last batch, and changes no picture', async () => {
  const root = manyImages();
  const loader = open(root, { train: false, workers: 1 });
  expect(loader.batchesPerEpoch).toBe(3);
  const batches = await take(loader, 4);
  expect(batches.map(({ ids }) => ids)).toEqual(
    [['img0', 'img1', 'img2'], ['img3', 'img4', 'img5'], ['img6'], ['img0', 'img1', 'img2']]);
  expect(batches[2]!.image).toHaveLength(3 * SIZE * SIZE);
  expect(batches[2]!.labels['normals']).toHaveLength(3 * SIZE * SIZE);
  expect(batches[2]!.sizes).toEqual([[48, 64]]);
  expect(batches[2]!.image).toEqual(batches[0]!.image.slice(0, 3 * SIZE * SIZE));
});

test('next() holds what the chain makes of each sample with its own random numbers', async () => {
  const root = manyImages();
  const [, , batch] = await take(open(root), 3);
  for (const [position, id] of batch!.ids.entries()) {
    const uniforms = sampleUniforms(5, 1, Number(id.slice(3)));
    const { image } = prepare(await readPascal(root, id, []), SIZE, drawAugmentation('pascal', uniforms));
    const want = new Uint8Array(3 * SIZE * SIZE);
    writeImage(image, want, 'clamp');
    expect(batch!.image.subarray(position * want.length, (position + 1) * want.length)).toEqual(want);
  }
});

test.each([0, 2])('next() stops at a bad file with its name, with %i workers', async (workers) => {
  const root = manyImages();
  const path = join(root, 'sal_distill', 'img4.png');
  writeFileSync(path, 'no picture');
  const loader = open(root, { workers, train: false });
  expect((await loader.next()).ids).toEqual(['img0', 'img1', 'img2']);
  await expect(loader.next()).rejects.toThrow(`Cannot read "${path}": it is not a PNG file`);
});

test.each([0, 2])('next() skips and counts bad files where it may, with %i workers', async (workers) => {
  const root = manyImages();
  const path = join(root, 'sal_distill', 'img4.png');
  const good = await take(open(root, { train: false }), 2);
  writeFileSync(path, 'no picture');
  const problem = `Cannot read "${path}": it is not a PNG file`;

  const val = open(root, { workers, train: false, onBadSample: 'skip' });
  const [, batch] = await take(val, 2);
  expect(batch!.ids).toEqual(['img3', 'img5']);
  expect(val.stats.skipped).toEqual(new Map([[problem, 1]]));
  const each = SIZE * SIZE;
  expect(batch!.labels['semseg']!.subarray(each)).toEqual(good[1]!.labels['semseg']!.subarray(2 * each));

  const train = open(root, { workers, batchSize: 7, onBadSample: 'skip' });
  const [full] = await take(train, 1);
  expect(full!.ids.filter((id) => id === 'img5')).toHaveLength(2);
  expect([full!.ids.length, train.stats.skipped]).toEqual([7, new Map([[problem, 1]])]);
});

test('next() leaves out samples that lack a file, which openLoader() refuses otherwise', async () => {
  const root = manyImages();
  const paths = ['JPEGImages/img4.jpg', 'human_parts/img6.mat'].map((name) => join(root, name));
  for (const path of paths) rmSync(path);
  const dataset = spec(root, { split: 'val' });
  expect(() => open(root, { dataset, train: false })).toThrow(`Cannot read "${paths[0]}": no such file`);
  const loader = open(root, { dataset, train: false, onBadSample: 'skip' });
  expect((await take(loader, 3)).map(({ ids }) => ids)).toEqual(
    [['img0', 'img1', 'img2'], ['img3', 'img5'], ['img0', 'img1', 'img2']]);      // img6 was its batch
  const missing = paths.map((path) => `Cannot read "${path}": no such file`);
  expect([...loader.stats.skipped.keys()]).toEqual(missing);
});

test('openLoader() keeps what has no readable parts where no other task is, and writes no index', () => {
  const root = manyImages();
  for (const split of ['train', 'val']) rmSync(join(root, 'ImageSets', 'Parts', `${split}.txt`));
  writeFileSync(join(root, 'human_parts', 'img4.mat'), 'no matrix');
  const loader = open(root, { dataset: spec(root, { tasks: ['human_parts'] }), onBadSample: 'skip' });
  expect(loader.samples).toBe(7);
  expect(existsSync(join(root, 'ImageSets', 'Parts', 'train.txt'))).toBe(false);
});

test('next() gives up where no sample can be read', async () => {
  const root = manyImages();
  for (let i = 0; i < IMAGES; i++) writeFileSync(join(root, 'JPEGImages', `img${i}.jpg`), '');
  for (const train of [true, false]) {
    await expect(open(root, { train, onBadSample: 'skip' }).next()).rejects.toThrow(
      /^None of the 7 samples can be read; the first: Cannot read ".*img\d.jpg": it is not a JPEG file$/);
  }
});

test('next() refuses to be called twice at once, and after close()', async () => {
  const loader = open(manyImages(), { workers: 1 });
  const first = loader.next();
  await expect(loader.next()).rejects.toThrow('wait for the batch before');
  await first;
  await loader.close();
  await expect(loader.next()).rejects.toThrow('The data loader is closed');
});

test('close() ends a next() that is under way', async () => {
  const loader = open(manyImages(), { workers: 1, batchSize: 7, prefetch: 0 });
  const pending = loader.next();
  await Promise.all([expect(pending).rejects.toThrow('The data loader is closed'), loader.close()]);
});

test('stats tell how long next() waited', async () => {
  const loader = open(manyImages());
  await loader.next();
  expect(loader.stats.waitMs).toBeGreaterThan(1);
});

test('openLoader() names the option that is wrong', () => {
  const root = manyImages();
  expect(() => open(root, { batchSize: 8 })).toThrow(
    'batchSize must be at most the 7 images of "train", got 8');
  expect(() => open(root, { seed: 0.5, workers: 1 })).toThrow(
    'seed must be a whole number from 0 to 2^53 − 1, got 0.5');
  expect(() => open(root, { start: { epoch: 0, batch: 3 } })).toThrow(
    'start.batch must be at most the 2 of an epoch, got 3');
  expect(() => open(root, { size: 0 })).toThrow('size must be a whole number from 1 on, got 0');
  expect(() => open(root, { workers: 1.5 })).toThrow('workers must be a whole number from 0 on, got 1.5');
  expect(() => open(root, { dataset: spec(root, { tasks: ['depth'] }) })).toThrow(
    'dataset "pascal": tasks must be of semseg, human_parts, sal, normals, edge, got "depth"');
  expect(() => open(root, { dataset: spec(root, { tasks: ['sal', 'sal'] }) })).toThrow(
    'dataset "pascal": a task may be given once, got "sal" twice');
  expect(() => open(root, { dataset: spec(root, { tasks: [] }) })).toThrow(
    'dataset "pascal": at least one task is needed, got none');
  expect(() => open(root, { dataset: spec(root, { split: 'test' }) })).toThrow(
    `Cannot read "${root}/ImageSets/Context/test.txt": no such file`);
});
