import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

import { toFloat32 } from '../../src/data/host_tensor.ts';
import type { HostTensor } from '../../src/data/host_tensor.ts';
import { Inert } from '../../src/data/pickle_machine.ts';
import { readPth } from '../../src/data/pth.ts';
import { readSafetensors } from '../../src/data/safetensors.ts';
import { loadStateDict } from '../../src/data/state_dict.ts';

const FIXTURES = 'test/fixtures/swin-checkpoint';
type Described = { epoch: number; dtypes: Record<string, string>; shapes: Record<string, number[]> };
const described = JSON.parse(readFileSync(`${FIXTURES}/reader.json`, 'utf8')) as Described;
const expected = readSafetensors(`${FIXTURES}/reader_expected.safetensors`).tensors;

const DTYPES: Record<string, string> = {
  float32: 'F32', float16: 'F16', bfloat16: 'BF16', float64: 'F64', int64: 'I64', int32: 'I32', int16: 'I16',
  uint8: 'U8', bool: 'BOOL',
};

for (const format of ['zip', 'legacy']) {
  const path = `${FIXTURES}/reader_${format}.pth`;

  test(`readPth() reads views, strides, shared storages and every dtype of a ${format} file`, async () => {
    const model = ((await readPth(path)) as Map<string, unknown>).get('model') as Map<string, HostTensor>;
    expect([...model.keys()]).toEqual(Object.keys(described.dtypes));
    for (const [name, tensor] of model) {
      expect(tensor.dtype, name).toBe(DTYPES[described.dtypes[name]!]);
      expect(tensor.shape, name).toEqual(described.shapes[name]);
      const want = expected.get(name)!;
      const sameDtype = tensor.dtype !== 'F16' && tensor.dtype !== 'BF16';
      expect(sameDtype ? tensor.data : toFloat32(tensor), name).toEqual(want.data);
    }
  });

  test(`readPth() reads the plain values of a ${format} file`, async () => {
    const root = await readPth(path) as Map<string, unknown>;
    root.delete('model');
    expect(root).toEqual(new Map<string, unknown>([
      ['epoch', 12], ['max_accuracy', 0.5], ['none', null], ['flag', true], ['text', 'naïve'],
      ['big', 2n ** 70n], ['negative', -5], ['list', [1, 'two', 3, [4, 5], new Map([['six', 7]])]],
      ['tuple', [0.9, 0.999]], ['set', new Set([1, 2])],
    ]));
  });

  test(`loadStateDict() finds the tensors under "model" of a ${format} file`, async () => {
    const state = await loadStateDict(path);
    expect(state.size).toBe(18);
    expect([...toFloat32(state.get('scalar')!)]).toEqual([3.25]);
  });
}

test('loadStateDict() reads safetensors alike', async () => {
  expect(await loadStateDict(`${FIXTURES}/reader_expected.safetensors`)).toEqual(expected);
});

/** Dicts as records, to be compared with JSON. */
function plain(value: unknown): unknown {
  if (value instanceof Inert) return plain(value.items);
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  return Object.fromEntries([...value as Map<string, unknown>].map(([key, each]) => [key, plain(each)]));
}

test('readPth() reads what the release saves: optimizer state by number, a schedule, a CfgNode', async () => {
  const file = 'test/fixtures/model-tiny/ckpt_epoch_7.part';
  const want = JSON.parse(readFileSync(`${file}.json`, 'utf8')) as Record<string, unknown>;
  const tensors = readSafetensors(`${file}.safetensors`).tensors;
  const root = await readPth(`${file}.pth`) as Map<string, Map<string, unknown>>;
  const [model, optimizer, config] = [root.get('model')!, root.get('optimizer')!, root.get('config')];
  expect([...root.keys()]).toEqual(want['topLevelKeys']);
  expect([...model.keys()]).toEqual(want['modelKeys']);
  expect(plain(root.get('lr_scheduler'))).toEqual(want['lr_scheduler']);
  expect(plain(optimizer.get('param_groups'))).toEqual(want['param_groups']);
  expect(config).toBeInstanceOf(Inert);
  expect((config as unknown as Inert).global).toBe('yacs.config.CfgNode');
  expect(plain(config)).toEqual(want['config']);

  const state = optimizer.get('state') as Map<number, Map<string, HostTensor>>;
  expect([...state.keys()]).toEqual(want['optimizerStateIds']);
  const moments = [...state].flatMap(([id, entry]) =>
    [...entry].map(([field, tensor]) => [`optimizer.state.${id}.${field}`, tensor] as const));
  const weights = [...model].map(([name, tensor]) => [`model.${name}`, tensor as HostTensor] as const);
  expect(new Map([...weights, ...moments])).toEqual(tensors);
  expect(tensors.size).toBe(69);
});
