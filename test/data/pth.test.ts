import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

import { toFloat32 } from '../../src/data/host_tensor.ts';
import type { HostTensor } from '../../src/data/host_tensor.ts';
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
