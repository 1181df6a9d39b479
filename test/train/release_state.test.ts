import { expect, test } from 'vitest';
import type { HostTensor } from '../../src/data/host_tensor.ts';
import { readPth } from '../../src/data/pth.ts';
import { writePth } from '../../src/data/pth_write.ts';
import { modelSpec } from '../../src/train/config.ts';
import { CONFIG_SCHEMA, type Config } from '../../src/train/config_schema.ts';
import {
  optimizerDict, readOptimizerDict, readScalerDict, releaseGroups, scalerDict, schedulerDict,
} from '../../src/train/release_state.ts';
import { scheduleOf } from '../../src/train/schedule.ts';
import { loadJson } from '../support/fixtures.ts';
import { folderWith } from '../support/folder.ts';
import { fingerprint, randomState } from '../support/tiny_model.ts';

type Golden = {
  cfg: Record<string, Record<string, unknown>>;
  tasks: string[];
  itersPerEpoch: number;
  trainable: string[];
  noGradThoughTrainable: string[];
};
type Saved = { lr_scheduler: unknown; param_groups: unknown };

const golden = loadJson<Golden>('model-tiny', 'mtlora_plus_w4');
const saved = loadJson<Saved>('model-tiny', 'ckpt_epoch_7.part');
const STATES = 'test/fixtures/model-tiny/ckpt_epoch_7.part.pth';

const config: Config = CONFIG_SCHEMA.parse({ ...golden.cfg, TASKS: golden.tasks,
  DATA: { ...golden.cfg['DATA'], DBNAME: 'PASCALContext' } });
const spec = modelSpec(config);
const schedule = scheduleOf(config.TRAIN, golden.itersPerEpoch);
const updated = golden.trainable.filter((name) => !golden.noGradThoughTrainable.includes(name));

function drawn(seed: number): Map<string, HostTensor> {
  const state = randomState(spec, seed);
  return new Map(updated.map((name) => [name, state.get(name)!]));
}

/** What a reader makes of a value that was written. */
async function written(value: Parameters<typeof writePth>[1]): Promise<Map<string, unknown>> {
  const file = `${folderWith()}/state.pth`;
  await writePth(file, value);
  return await readPth(file) as Map<string, unknown>;
}

/** Moments stand in the order of the groups, and were drawn in the model's. */
function inOrder(tensors: ReadonlyMap<string, HostTensor>): string[] {
  return fingerprint(tensors).sort();
}

function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  return Object.fromEntries([...value as Map<string, unknown>].map(([key, each]) => [key, plain(each)]));
}

test('optimizerDict() and schedulerDict() have the groups and fields that the release saves', async () => {
  const moments = [drawn(1), drawn(2)] as const;
  const root = await written({
    optimizer: optimizerDict(spec, config.TRAIN, schedule, { step: 3, moments }),
    lr_scheduler: schedulerDict(schedule),
  });
  expect(plain(root.get('lr_scheduler'))).toEqual(saved.lr_scheduler);
  const optimizer = root.get('optimizer') as Map<string, unknown>;
  expect(plain(optimizer.get('param_groups'))).toEqual(saved.param_groups);
  const ids = [...(optimizer.get('state') as Map<number, unknown>).keys()];
  expect(ids.length).toBe(updated.length);
  expect(ids.slice(0, 5)).toEqual([0, 1, 2, 3, 5]);
});

test('readOptimizerDict() reads what optimizerDict() writes, and what the release wrote', async () => {
  const moments = [drawn(1), drawn(2)] as const;
  const optimizer = optimizerDict(spec, config.TRAIN, schedule, { step: 12, moments });
  const read = readOptimizerDict(spec, await written({ optimizer }))!;
  expect(read.step).toBe(12);
  expect(read.moments.map(inOrder)).toEqual(moments.map(inOrder));

  const release = readOptimizerDict(spec, await readPth(STATES))!;
  expect(release.step).toBe(3);
  expect([...release.moments[0].keys()]).toEqual([
    'backbone.patch_embed.proj.weight',
    'backbone.layers.0.blocks.0.attn.relative_position_bias_table',
    'backbone.layers.0.blocks.0.attn.qkv.lora_shared_A',
    'backbone.layers.0.blocks.0.attn.qkv.lora_shared_B',
    'backbone.layers.0.blocks.0.attn.proj.lora_shared_A',
  ]);
});

test('optimizerDict() of SGD holds momenta', async () => {
  const train = { ...config.TRAIN, OPTIMIZER: { ...config.TRAIN.OPTIMIZER, NAME: 'sgd' as const } };
  const moments = [drawn(1), new Map<string, HostTensor>()] as const;
  const optimizer = optimizerDict(spec, train, schedule, { step: 2, moments });
  const root = await written({ optimizer });
  const groups = (root.get('optimizer') as Map<string, unknown>).get('param_groups');
  const [group] = plain(groups) as Record<string, unknown>[];
  expect(group).toMatchObject({ momentum: 0.9, dampening: 0, nesterov: true, weight_decay: 0.05 });
  expect(readOptimizerDict(spec, root)!.moments.map(inOrder)).toEqual(moments.map(inOrder));
});

test('readOptimizerDict() refuses what does not fit the model', async () => {
  expect(readOptimizerDict(spec, new Map([['model', 1]]))).toBe(null);
  const refused = (optimizer: unknown): unknown => {
    try {
      return readOptimizerDict(spec, new Map([['optimizer', optimizer]]));
    } catch (error) {
      return (error as Error).message;
    }
  };
  const [decayed, free] = releaseGroups(spec).map(({ length }) => length) as [number, number];
  const numbers = (from: number, count: number): number[] =>
    Array.from({ length: count }, (_, i) => from + i);
  const groups = [new Map([['params', numbers(0, decayed)]]), new Map([['params', numbers(decayed, free)]])];
  const dict = (state: unknown, param_groups: unknown = groups): unknown =>
    new Map(Object.entries({ state, param_groups }));
  const zeros = (...shape: number[]): HostTensor =>
    ({ dtype: 'F32', shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) });
  const first = (fields: Record<string, unknown>): unknown =>
    dict(new Map([[0, new Map(Object.entries(fields))]]));
  const name = '"backbone.patch_embed.proj.weight"';

  expect(refused(3)).toBe('optimizer: must hold "state"');
  expect(refused(dict(new Map(), 3))).toBe('optimizer: its groups must hold [208, 73] parameters, got []');
  expect(refused(dict(new Map(), groups.slice(1)))).toContain('got [73]');
  expect(refused(first({ exp_avg: zeros(8, 3, 4, 2) })))
    .toBe(`optimizer: "exp_avg" of ${name} must be [8, 3, 4, 4], got [8, 3, 4, 2]`);
  const whole = { exp_avg: zeros(8, 3, 4, 4), exp_avg_sq: zeros(8, 3, 4, 4) };
  expect(refused(first({ exp_avg: whole.exp_avg, step: 3 })))
    .toBe(`optimizer: "exp_avg_sq" of ${name} must be [8, 3, 4, 4], got no tensor`);
  expect(refused(first({ ...whole, step: 'three' })))
    .toBe(`optimizer: "step" of ${name} must be a whole number`);
  const endless = { ...whole.exp_avg, data: new Float32Array(384).fill(Infinity) };
  expect(refused(first({ ...whole, exp_avg: endless, step: 3 })))
    .toContain(`"exp_avg" of ${name} must hold finite`);
  expect(refused(first({ ...whole, step: 3 }))).toMatchObject({ step: 3 });
});

test('readScalerDict() reads what scalerDict() writes, and refuses what is no scale', async () => {
  const scale = { scale: 2 ** 15, goodSteps: 1999 };
  const root = await written({ scaler: scalerDict(scale) });
  expect(readScalerDict(root)).toEqual(scale);
  expect(Object.fromEntries(root.get('scaler') as Map<string, number>)).toEqual({
    scale: 32768, growth_factor: 2, backoff_factor: 0.5, growth_interval: 2000, _growth_tracker: 1999,
  });
  expect(readScalerDict(await readPth(STATES))).toBe(null);
  const read = (fields: object) => () =>
    readScalerDict(new Map([['scaler', new Map<string, unknown>(Object.entries(fields))]]));
  expect(read({ scale: 1 })).toThrow('scaler: must hold "_growth_tracker"');
  expect(read({ scale: 0, _growth_tracker: 1 })).toThrow('scaler: "scale" must be a number above 0, got 0');
  expect(read({ scale: 1, _growth_tracker: 0.5 }))
    .toThrow('scaler: "_growth_tracker" must be a whole number, got 0.5');
});
