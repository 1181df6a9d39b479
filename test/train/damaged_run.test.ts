import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { HostTensor } from '../../src/data/host_tensor.ts';
import { writeSafetensors } from '../../src/data/safetensors.ts';
import { readCheckpoint } from '../../src/train/checkpoint.ts';
import { folderWith } from '../support/folder.ts';
import { seeded } from '../support/seeded.ts';

const floats = (...values: number[]): HostTensor =>
  ({ dtype: 'F32', shape: [values.length], data: Float32Array.from(values) });
const TENSORS = {
  'a.weight': floats(1, 2), 'b.weight': floats(3),
  'optimizer.exp_avg.a.weight': floats(4, 5), 'optimizer.exp_avg_sq.a.weight': floats(6, 7),
};
const METADATA = {
  format: 'mtlora checkpoint 1', position: '{"step":3,"tracked":6,"samples":9}', fixed: '{"SEED":"0"}',
};

function saved(tensors: Record<string, HostTensor>, metadata: Record<string, string> = METADATA): string {
  const file = `${folderWith()}/ckpt_epoch_0.safetensors`;
  writeSafetensors(file, new Map(Object.entries(tensors)), metadata);
  return file;
}

test('readCheckpoint() takes a run apart', async () => {
  const { model, run } = await readCheckpoint(saved(TENSORS));
  expect([...model.keys()]).toEqual(['a.weight', 'b.weight']);
  expect(run!.position).toEqual({ step: 3, tracked: 6, samples: 9 });
  expect(run!.moments.map((moment) => [...moment.get('a.weight')!.data])).toEqual([[4, 5], [6, 7]]);
  expect((await readCheckpoint(saved(TENSORS, {}))).run).toBe(null);
});

test.each<[string, Record<string, HostTensor>, Record<string, string>, string]>([
  ['no position', {}, { position: '' }, 'its metadata must hold a whole "position" (the file is damaged)'],
  ['half a position', {}, { position: '{"step":3' }, 'its metadata must hold a whole "position"'],
  ['a position before all', {}, { position: '{"step":-1,"tracked":0,"samples":9}' }, 'a whole "position"'],
  ['a position without images', {}, { position: '{"step":1,"tracked":0}' }, 'a whole "position"'],
  ['a list of settings', {}, { fixed: '[1]' }, 'its metadata must hold a whole "fixed"'],
  ['one moment of two', { 'optimizer.exp_avg.b.weight': floats(1) }, {},
    'the moments of "b.weight" must be two, in F32 and of its shape'],
  ['moments of another shape', { 'optimizer.exp_avg.a.weight': floats(1) }, {},
    'the moments of "a.weight" must be two'],
  ['moments of nothing', { 'optimizer.exp_avg.c': floats(1), 'optimizer.exp_avg_sq.c': floats(1) }, {},
    'the moments of "c" must be two'],
  ['moments that are not finite', { 'optimizer.exp_avg_sq.a.weight': floats(1, NaN) }, {},
    'the moments of "a.weight" must be finite'],
  ['averages of another shape', { 'optimizer.ema.b.weight': floats(1, 2) }, {},
    'the average of "b.weight" must be in F32 and of its shape'],
  ['averages that are not finite', { 'optimizer.ema.b.weight': floats(Infinity) }, {},
    'the average of "b.weight" must be finite'],
])('readCheckpoint() refuses a run with %s', async (_, tensors, metadata, says) => {
  const file = saved({ ...TENSORS, ...tensors }, { ...METADATA, ...metadata });
  const failure = await readCheckpoint(file).then(() => '', (error: Error) => error.message);
  expect(failure).toContain(`Cannot resume from "${file}": `);
  expect(failure).toContain(says);
});

test('readCheckpoint() of a damaged run gives a run or a sentence', async () => {
  const file = saved(TENSORS);
  const original = readFileSync(file);
  const pick = seeded(5);
  let refused = 0;
  for (let round = 0; round < 400; round++) {
    const bytes = Buffer.from(original);
    const digitOrAny = (): number => pick(3) === 0 ? 0x30 + pick(10) : pick(256);
    for (let i = pick(4); i >= 0; i--) bytes[pick(bytes.length)] = digitOrAny();
    writeFileSync(file, bytes);
    const failure = await readCheckpoint(file).then(() => null, (error: Error) => error.message);
    if (failure === null) continue;
    refused++;
    expect(failure, `round ${round}`).toMatch(/^Cannot (read|resume from) "[^"]+": [^\n]+$/);
  }
  expect(refused).toBeGreaterThan(250);
});
