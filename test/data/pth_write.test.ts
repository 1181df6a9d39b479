import { mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import type { HostTensor } from '../../src/data/host_tensor.ts';
import { pickle } from '../../src/data/pickle_write.ts';
import type { PthValue } from '../../src/data/pickle_write.ts';
import { readPth } from '../../src/data/pth.ts';
import { writePth } from '../../src/data/pth_write.ts';

const folder = mkdtempSync(join(tmpdir(), 'pth-'));
const path = join(folder, 'x.pth');

const TENSORS = new Map<string, HostTensor>([
  ['f64', { dtype: 'F64', shape: [2], data: Float64Array.of(Math.PI, -0) }],
  ['f32', { dtype: 'F32', shape: [2, 1, 3], data: Float32Array.of(1, 2, 3, NaN, -Infinity, 1e-45) }],
  ['f16', { dtype: 'F16', shape: [1], data: Uint16Array.of(0x3c01) }],
  ['bf16', { dtype: 'BF16', shape: [2], data: Uint16Array.of(0x3f80, 0xffff) }],
  ['i64', { dtype: 'I64', shape: [], data: BigInt64Array.of(-(2n ** 63n)) }],
  ['i32', { dtype: 'I32', shape: [1], data: Int32Array.of(-9) }],
  ['i16', { dtype: 'I16', shape: [2], data: Int16Array.of(300, -300) }],
  ['i8', { dtype: 'I8', shape: [2], data: Int8Array.of(-1, 1) }],
  ['u8', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 255) }],
  ['bool', { dtype: 'BOOL', shape: [2], data: Uint8Array.of(1, 0) }],
  ['empty', { dtype: 'F32', shape: [0, 3], data: new Float32Array(0) }],
  ['view', { dtype: 'F32', shape: [2], data: Float32Array.of(5, 6, 7, 8).subarray(1, 3) }],
]);

test('writePth() and readPth() keep tensors of every dtype and nested plain values', async () => {
  await writePth(path, {
    model: TENSORS,
    optimizer: { state: new Map([[0, { step: 3 }]]), param_groups: [{ lr: 1.5e-4, betas: [0.9, 0.999] }] },
    numbers: [0, -0, 1, -1, 255, 65536, 2 ** 31 - 1, -(2 ** 31), 2 ** 31, -(2 ** 40), 2n ** 70n, -(2n ** 70n),
      0.1],
    odd: [NaN, Infinity, -Infinity], text: 'naïve ☃', none: null, yes: true, no: false, void: [], nothing: {},
  });
  expect(await readPth(path)).toEqual(new Map<string, unknown>([
    ['model', TENSORS],
    ['optimizer', new Map<string, unknown>([
      ['state', new Map([[0, new Map([['step', 3]])]])],
      ['param_groups', [new Map<string, unknown>([['lr', 1.5e-4], ['betas', [0.9, 0.999]]])]],
    ])],
    ['numbers', [0, -0, 1, -1, 255, 65536, 2147483647, -2147483648, 2147483648, -1099511627776,
      1180591620717411303424n, -1180591620717411303424n, 0.1]],
    ['odd', [NaN, Infinity, -Infinity]], ['text', 'naïve ☃'], ['none', null], ['yes', true], ['no', false],
    ['void', []], ['nothing', new Map()],
  ]));
  expect(readdirSync(folder)).toEqual(['x.pth']);
});

test('pickle() spells a tensor as torch.save does', () => {
  const w = { dtype: 'F32', shape: [2, 3], data: new Float32Array(6) } as const;
  const { bytes, storages } = pickle(new Map([['w', w]]));
  const binint = (value: number): string => `J${String.fromCharCode(value)}\0\0\0`;
  const text = (value: string): string => `X${String.fromCharCode(value.length)}\0\0\0${value}`;
  expect(Buffer.from(bytes).toString('latin1')).toBe(
    `\x80\x02ccollections\nOrderedDict\n)R(${text('w')}ctorch._utils\n_rebuild_tensor_v2\n(` +
    `(${text('storage')}ctorch\nFloatStorage\n${text('0')}${text('cpu')}${binint(6)}tQ` +
    `${binint(0)}(${binint(2)}${binint(3)}t(${binint(3)}${binint(1)}t\x89ccollections\nOrderedDict\n)RtRu.`);
  expect(storages.map((storage) => storage.length)).toEqual([24]);
});

test('writePth() stores uncompressed entries, and equal values make equal files', async () => {
  await writePth(path, { a: TENSORS.get('f32')! });
  const first = readFileSync(path);
  expect(first.readUInt32LE(0)).toBe(0x04034b50);
  expect(first.readUInt16LE(8)).toBe(0); // method: stored
  for (const name of ['data.pkl', 'data/0', 'byteorder', 'version']) {
    expect(first.includes(`archive/${name}`), name).toBe(true);
  }
  await writePth(path, { a: TENSORS.get('f32')! });
  expect(readFileSync(path).equals(first)).toBe(true);
});

test('writePth() names what it cannot write', async () => {
  const loop: PthValue[] = [];
  loop.push(loop);
  const reject = async (value: unknown, message: string): Promise<void> =>
    expect(writePth(join(folder, 'bad.pth'), value as PthValue)).rejects.toThrow(message);
  await reject({ a: [1, undefined] }, 'value.a[1]: must be plain data for a .pth file, got undefined');
  await reject({ when: new Date(0) }, 'value.when: must be plain data for a .pth file, got Date');
  await reject({ w: { dtype: 'U16', shape: [1], data: Uint16Array.of(1) } }, 'a .pth file holds no U16');
  await reject({ w: { dtype: 'F32', shape: [2], data: new Float32Array(1) } }, 'must hold 2 elements');
  await reject(loop, 'must not be nested deeper than 100');
  expect(readdirSync(folder)).toEqual(['x.pth']);
});
