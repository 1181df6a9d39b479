import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { toFloat32 } from '../../src/data/host_tensor.ts';
import type { HostTensor } from '../../src/data/host_tensor.ts';
import { readSafetensors, writeSafetensors } from '../../src/data/safetensors.ts';

const folder = mkdtempSync(join(tmpdir(), 'safetensors-'));
const path = join(folder, 'x.safetensors');

const ALL = new Map<string, HostTensor>([
  ['bool', { dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 1) }],
  ['u8', { dtype: 'U8', shape: [1, 3], data: Uint8Array.of(0, 7, 255) }],
  ['i8', { dtype: 'I8', shape: [2], data: Int8Array.of(-128, 127) }],
  ['f16', { dtype: 'F16', shape: [6], data: Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00, 0x3555, 0x8000) }],
  ['bf16', { dtype: 'BF16', shape: [2], data: Uint16Array.of(0x3f80, 0xc049) }],
  ['i16', { dtype: 'I16', shape: [2], data: Int16Array.of(-32768, 5) }],
  ['u16', { dtype: 'U16', shape: [1], data: Uint16Array.of(65535) }],
  ['i32', { dtype: 'I32', shape: [], data: Int32Array.of(-7) }],
  ['u32', { dtype: 'U32', shape: [1], data: Uint32Array.of(4294967295) }],
  ['f32', { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1.5, -0, NaN, Infinity) }],
  ['i64', { dtype: 'I64', shape: [2], data: BigInt64Array.of(-1n, 9007199254740993n) }],
  ['f64', { dtype: 'F64', shape: [1], data: Float64Array.of(Math.PI) }],
  ['empty', { dtype: 'F32', shape: [0, 3], data: new Float32Array(0) }],
  ['__proto__', { dtype: 'F32', shape: [1], data: Float32Array.of(3) }],
]);

/** A file whose header is `header` as it stands, over `data` bytes of zeros. */
function forge(header: string, data: number, length = BigInt(Buffer.byteLength(header))): string {
  const head = Buffer.alloc(8);
  head.writeBigUInt64LE(length);
  writeFileSync(path, Buffer.concat([head, Buffer.from(header), Buffer.alloc(data)]));
  return path;
}

test('writeSafetensors() and readSafetensors() keep every dtype, shape, bit and the metadata', () => {
  writeSafetensors(path, ALL, { format: 'pt', epoch: '{"epoch":3}' });
  const { tensors, metadata } = readSafetensors(path);
  expect(metadata).toEqual({ format: 'pt', epoch: '{"epoch":3}' });
  expect([...tensors.keys()].sort()).toEqual([...ALL.keys()].sort());
  for (const [name, tensor] of ALL) expect(tensors.get(name), name).toEqual(tensor);
  expect(readdirSync(folder)).toEqual(['x.safetensors']);
});

test('writeSafetensors() pads the header to 8 bytes and puts wide items first', () => {
  writeSafetensors(path, ALL);
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE());
  expect(length % 8).toBe(0);
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as
    Record<string, { dtype: string; data_offsets: number[] }>;
  expect(header['i64']!.data_offsets[0]! % 8).toBe(0);
  expect(header['f32']!.data_offsets[0]! % 4).toBe(0);
  expect(header['bool']!.data_offsets[0]).toBeGreaterThan(header['f16']!.data_offsets[0]!);
});

test('writeSafetensors() refuses a tensor whose data does not fit its shape', () => {
  const w: HostTensor = { dtype: 'F32', shape: [2, 3], data: new Float32Array(5) };
  const bad = new Map([['w', w]]);
  expect(() => writeSafetensors(join(folder, 'bad'), bad))
    .toThrow('Tensor "w": [2,3] of F32 must hold 6 elements of Float32Array, got 5 of Float32Array');
  expect(readdirSync(folder)).not.toContain('bad');
});

test('toFloat32() converts half, bfloat16, integers and doubles', () => {
  const read = (name: string): number[] => [...toFloat32(ALL.get(name)!)];
  expect(read('f16')).toEqual([1, -2, 2 ** -24, Infinity, Math.fround(0.333251953125), -0]);
  expect(read('bf16')).toEqual([1, -3.140625]);
  expect(read('i64')).toEqual([-1, 9007199254740992]);
  expect(read('f64')).toEqual([Math.fround(Math.PI)]);
  expect(read('bool')).toEqual([1, 0, 1]);
  expect(toFloat32(ALL.get('f32')!)).toBe(ALL.get('f32')!.data);
});

test('readSafetensors() copies a tensor that is not aligned', () => {
  const f32 = '"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}';
  forge(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},${f32}}`, 5);
  expect(readSafetensors(path).tensors.get('b')!.data).toEqual(Float32Array.of(0));
});

/** A header of one tensor "a". */
function one(dtype: string, shape: string, begin: number, end: number): string {
  return `{"a":{"dtype":"${dtype}","shape":${shape},"data_offsets":[${begin},${end}]}}`;
}
const EMPTY = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}';
const OUTSIDE = 'data_offsets must lie in the 1 bytes of data, got ';

test.each<[string, string, number, string, bigint?]>([
  ['a header longer than the file', '{}', 0, 'must fit the file of 10 bytes, got a length of 115', 2n ** 60n],
  ['a header that is no JSON', '{"a"', 0, 'the header must be JSON in UTF-8'],
  ['a header that is a list', '[]', 0, 'the header must be a JSON object'],
  ['a number as tensor', '{"a":3}', 0, 'tensor "a": must be a JSON object'],
  ['an unknown dtype', one('F8', '[]', 0, 1), 1, 'tensor "a": dtype "F8" is not supported'],
  ['an inherited dtype', one('toString', '[]', 0, 1), 1, 'dtype "toString" is not supported'],
  ['a negative size', one('U8', '[-1]', 0, 1), 1, 'shape must be a list of sizes, got [-1]'],
  ['a size beyond 2^53', one('U8', '[4294967296,4294967296]', 0, 1), 1, 'shape must be a list of sizes'],
  ['offsets past the end', one('U8', '[2]', 0, 2), 1, `${OUTSIDE}[0,2]`],
  ['offsets backwards', one('U8', '[0]', 1, 0), 1, `${OUTSIDE}[1,0]`],
  ['fractional offsets', one('U8', '[0]', 0.5, 0.5), 1, `${OUTSIDE}[0.5,0.5]`],
  ['a shape of another size', one('F32', '[2]', 0, 4), 4, 'F32 [2] must hold 8 bytes, got 4'],
  ['bytes of nobody', one('U8', '[1]', 0, 1), 3, 'must fill 3 bytes of data, got 1'],
  ['a gap', one('U8', '[1]', 1, 2), 2, 'must start at byte 0, got 1'],
  ['a name twice', `{"a":${EMPTY},"\\u0061":${EMPTY}}`, 0, '"a" must stand in the header once'],
  ['metadata that is no string', '{"__metadata__":{"a":1}}', 0, '__metadata__ must hold strings only'],
])('readSafetensors() refuses %s', (_, header, data, message, length) => {
  forge(header, data, length);
  expect(() => readSafetensors(path)).toThrow(message);
  expect(() => readSafetensors(path)).toThrow(/^Cannot read ".*x\.safetensors": [^\n]+[^.]$/);
});

test('readSafetensors() finds a flipped bit by the checksum', () => {
  writeSafetensors(path, ALL);
  const bytes = readFileSync(path);
  bytes[bytes.length - 2]! ^= 4;
  writeFileSync(path, bytes);
  expect(() => readSafetensors(path)).toThrow(/the file must have SHA-256 [0-9a-f]{64}, got .*damaged/);
});

test('readSafetensors() finds a changed name and changed metadata by the checksum', () => {
  writeSafetensors(path, ALL, { position: '{"step":3}' });
  const whole = readFileSync(path, 'latin1');
  for (const [was, is] of [['"i64"', '"i65"'], ['\\"step\\":3', '\\"step\\":7']] as const) {
    expect(whole).toContain(was);
    writeFileSync(path, whole.replace(was, is), 'latin1');
    expect(() => readSafetensors(path)).toThrow(/the file must have SHA-256/);
  }
});

test('readSafetensors() takes the checksum of older files, which is of the data alone', () => {
  const data = Uint8Array.of(1, 2, 3);
  const sha = createHash('sha256').update(data).digest('hex');
  const entry = '"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}';
  const old = (checksum: string): void => {
    const json = `{"__metadata__":{"mtlora.sha256":"${checksum}"},${entry}}`;
    const head = Buffer.alloc(8 + json.length);
    head.writeBigUInt64LE(BigInt(json.length));
    head.write(json, 8);
    writeFileSync(path, Buffer.concat([head, data]));
  };
  old(sha);
  expect(readSafetensors(path).tensors.get('a')!.data).toEqual(data);
  old(sha.replace(/^./, (first) => first === '0' ? '1' : '0'));
  expect(() => readSafetensors(path)).toThrow(/the file must have SHA-256/);
});

test('readSafetensors() refuses every cut of a file, and a folder', () => {
  writeSafetensors(path, ALL);
  const bytes = readFileSync(path);
  for (let length = 0; length < bytes.length; length++) {
    writeFileSync(path, bytes.subarray(0, length));
    expect(() => readSafetensors(path), `${length} bytes`).toThrow(/^Cannot read /);
  }
  expect(() => readSafetensors(folder)).toThrow('it is not a file');
  expect(() => readSafetensors(join(folder, 'none'))).toThrow(/^Cannot read ".*none": ENOENT: no such file/);
});
