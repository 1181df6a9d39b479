import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readSafetensors } from '../../src/data/safetensors.ts';
import type { ParameterStore } from '../../src/mtlora/store.ts';
import { BestModel } from '../../src/train/best.ts';
import { criterionOf, isBetter, scoreOf, wrongCriterion } from '../../src/train/best_score.ts';
import { loadConfig, modelSpec } from '../../src/train/config.ts';
import type { Metrics } from '../../src/train/results.ts';
import { RunFolder } from '../../src/train/run_folder.ts';
import { folderWith } from '../support/folder.ts';
import { fingerprint, randomState, tinyConfig } from '../support/tiny_model.ts';

const config = tinyConfig();
const spec = modelSpec(config);

function metrics(deltaM: number, mIoU = 0.5): Metrics {
  return {
    images: 3, loss: { total: 4, tasks: {} }, delta_m: deltaM,
    scores: { semseg: { mIoU }, normals: { mean: 20, rmse: 30 } },
  };
}

/** A store that holds the state of a seed. */
const store = (seed: number): ParameterStore =>
  ({ spec, read: () => Promise.resolve(randomState(spec, seed)) }) as unknown as ParameterStore;

const at = (step: number) => ({ step, tracked: 2 * step, versions: { mtlora: '9' } });

function withBest(BEST: string, tasks = config.TASKS) {
  return { ...config, TASKS: tasks, TRAIN: { ...config.TRAIN, BEST } };
}

test('criterionOf() takes Δm where it is defined, else the loss', () => {
  expect(criterionOf(config)).toEqual({ name: 'delta_m', higherIsBetter: true });
  expect(criterionOf(withBest('', ['semseg', 'edge']))).toEqual({ name: 'loss', higherIsBetter: false });
  expect(criterionOf(withBest('normals.mean')).higherIsBetter).toBe(false);
  expect(criterionOf(withBest('semseg.mIoU')).higherIsBetter).toBe(true);
});

test('scoreOf() and isBetter() compare evaluations', () => {
  const [semseg, normals] = [criterionOf(withBest('semseg.mIoU')), criterionOf(withBest('normals.rmse'))];
  expect([scoreOf(semseg, metrics(1)), scoreOf(normals, metrics(1))]).toEqual([0.5, 30]);
  expect([isBetter(semseg, 0.6, 0.5), isBetter(semseg, 0.5, 0.5), isBetter(normals, 29, 30)])
    .toEqual([true, false, true]);
  expect([isBetter(semseg, NaN, null), isBetter(semseg, -5, null)]).toEqual([false, true]);
});

test('wrongCriterion() lists what TRAIN.BEST can be', () => {
  expect(wrongCriterion(withBest('semseg.mIoU'))).toBe(null);
  expect(wrongCriterion(withBest('semseg.IoU'))).toBe('must be one of "delta_m", "loss", "semseg.mIoU", '
    + '"normals.mean", "normals.rmse", got "semseg.IoU"');
  expect(wrongCriterion(withBest('delta_m', ['edge']))).toMatch(/^must be one of "loss", "edge.loss", got/);
  expect(() => loadConfig(null, ['TRAIN.BEST', 'sal.F'])).toThrow(/^--opts TRAIN.BEST: must be one of/);
});

test('BestModel keeps the model of the best score, and goes on from it', async () => {
  using folder = disposable(new RunFolder(folderWith()));
  const best = new BestModel(folder, config, 0);
  expect((await best.offer(store(1), metrics(-3), at(4)))!.line)
    .toBe('best       delta_m -3.0000: "best.safetensors"');
  expect(await best.offer(store(2), metrics(-4), at(8))).toBe(null);
  const file = folder.file('best.safetensors');
  const { tensors, metadata } = readSafetensors(file);
  expect(fingerprint(tensors).toSorted()).toEqual(expectedState(1, 8).toSorted());
  expect(JSON.parse(metadata.best!)).toEqual({ by: 'delta_m', value: -3, step: 4 });
  expect([metadata.mtlora, metadata.config!.includes('IMG_SIZE: 32')]).toEqual(['9', true]);

  const continued = new BestModel(folder, config, 8);
  expect(await continued.offer(store(2), metrics(-3), at(12))).toBe(null);
  expect((await continued.offer(store(2), metrics(1), at(16)))!.line)
    .toMatch('before -3.0000 after update 4');
});

test('BestModel sets aside what a rewound run or another criterion made', async () => {
  using folder = disposable(new RunFolder(folderWith()));
  await new BestModel(folder, config, 0).offer(store(1), metrics(9), at(4));
  const rewound = new BestModel(folder, config, 3);
  expect(readdirSync(folder.path)).toContain('best.safetensors.superseded');
  expect(await rewound.offer(store(2), metrics(-9), at(4))).not.toBe(null);
  new BestModel(folder, withBest('semseg.mIoU'), 4);
  expect(existsSync(folder.file('best.safetensors'))).toBe(false);
  writeFileSync(folder.file('best.safetensors'), 'half');
  expect(() => new BestModel(folder, config, 4)).toThrow('rename or delete it');
});

test('RunFolder.keepLatest() deletes the older checkpoints of whole epochs', () => {
  using folder = disposable(new RunFolder(folderWith()));
  for (const name of ['0', '5', '10', '15', '15_step_9']) {
    writeFileSync(folder.file(`ckpt_epoch_${name}.safetensors`), '');
  }
  folder.keepLatest(2);
  expect(folder.checkpoints().map((path) => path.slice(path.indexOf('epoch_'))))
    .toEqual(['epoch_15.safetensors', 'epoch_15_step_9.safetensors', 'epoch_10.safetensors']);
});

function expectedState(seed: number, tracked: number): string[] {
  const state = randomState(spec, seed);
  for (const [name, tensor] of state) {
    if (!name.endsWith('num_batches_tracked')) continue;
    state.set(name, { ...tensor, data: BigInt64Array.of(BigInt(tracked)) });
  }
  return fingerprint(state);
}

function disposable(folder: RunFolder): RunFolder & Disposable {
  return Object.assign(folder, { [Symbol.dispose]: () => folder.close() });
}
