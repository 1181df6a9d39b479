import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, inflateSync } from 'node:zlib';
import { afterAll, expect, test } from 'vitest';
import { readMat } from '../../src/data/mat.ts';
import type { MatNumeric, MatStruct, MatValue } from '../../src/data/mat.ts';
import { writeMat } from '../../src/data/mat_writer.ts';

const folder = mkdtempSync(join(tmpdir(), 'mat-'));
const path = join(folder, 'a.mat');
afterAll(() => rmSync(folder, { recursive: true }));

const PARTS = 'test/fixtures/data/pascal-mini/human_parts/2008_000001.mat';
const CLASSES = 'test/fixtures/data/pascal-mini/pascal-context/trainval/2008_000002.mat';

function matrix(name: MatNumeric['class'], dims: number[], data: MatNumeric['data']): MatNumeric {
  return { kind: 'numeric', class: name, dims, data };
}
const struct = (elements: Record<string, MatValue>[], dims = [1, elements.length]): MatStruct =>
  ({ kind: 'struct', dims, fields: Object.keys(elements[0] ?? {}), elements });
const text = (value: string): MatValue =>
  ({ kind: 'char', dims: [value === '' ? 0 : 1, value.length], text: value });

const EVERYTHING: Record<string, MatValue> = {
  double: matrix('double', [2, 3], Float64Array.of(1, -2.5, Math.PI, NaN, Infinity, 2 ** 60)),
  single: matrix('single', [1, 2], Float32Array.of(0.1, -3)),
  int8: matrix('int8', [3, 1], Int8Array.of(-128, 0, 127)),
  uint8: matrix('uint8', [5, 1], Uint8Array.of(0, 1, 2, 254, 255)),
  int16: matrix('int16', [1, 1], Int16Array.of(-3)),
  uint16: matrix('uint16', [2, 2, 2], Uint16Array.of(0, 1, 2, 3, 4, 5, 6, 65535)),
  int32: matrix('int32', [1, 3], Int32Array.of(-(2 ** 31), 0, 2 ** 31 - 1)),
  uint32: matrix('uint32', [1, 1], Uint32Array.of(2 ** 32 - 1)),
  logical: matrix('logical', [2, 1], Uint8Array.of(1, 0)),
  empty: matrix('double', [0, 0], new Float64Array()),
  char: text('größer'),
  nothing: text(''),
  cell: { kind: 'cell', dims: [2, 1], cells: [text('a'), struct([{ x: text('b') }])] },
  person: struct([
    { part_name: text('head'), mask: matrix('uint8', [2, 2], Uint8Array.of(0, 1, 1, 0)) },
    { part_name: text('torso'), mask: matrix('double', [0, 0], new Float64Array()) },
  ]),
};

test.each([true, false])('readMat() reads what writeMat() wrote, compress: %s', (compress) => {
  writeMat(path, EVERYTHING, { compress });
  expect(readMat(path)).toEqual(EVERYTHING);
});

test('readMat() reads files of scipy, compressed and not, and writeMat() keeps their content', () => {
  for (const fixture of [PARTS, CLASSES]) {
    const variables = readMat(fixture);
    for (const compress of [true, false]) {
      writeMat(path, variables, { compress });
      expect(readMat(path)).toEqual(variables);
    }
  }
  const anno = readMat(PARTS)['anno'] as MatStruct;
  expect([anno.dims, anno.fields]).toEqual([[1, 1], ['imname', 'objects']]);
  const people = anno.elements[0]!['objects'] as MatStruct;
  expect(people.elements.map(({ parts }) => (parts as MatStruct).elements.length)).toEqual([4, 2]);
});

test('readMat() converts what is stored in a narrower type to its class', () => {
  // MATLAB stores doubles that are small whole numbers as bytes: type 9 (16 bytes) becomes type 2 (2 bytes).
  writeMat(path, { a: matrix('double', [1, 2], Float64Array.of(7, 200)) }, { compress: false });
  const bytes = readFileSync(path);
  const at = bytes.length - 24;
  expect([bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)]).toEqual([9, 16]);
  const small = Buffer.from([2, 0, 2, 0, 7, 200, 0, 0]);
  const shorter = Buffer.concat([bytes.subarray(0, at), small]);
  shorter.writeUInt32LE(bytes.readUInt32LE(132) - 16, 132);
  writeFileSync(path, shorter);
  expect(readMat(path)).toEqual({ a: matrix('double', [1, 2], Float64Array.of(7, 200)) });
});

test('readMat() refuses MATLAB 7.3, other formats and foreign byte order by name', () => {
  const header = (content: string): void => writeFileSync(path, content.padEnd(200, '\0'), 'latin1');
  header('MATLAB 7.3 MAT-file, Platform: GLNXA64');
  expect(() => readMat(path)).toThrow(
    `Cannot read "${path}": it is a MATLAB 7.3 (HDF5) file; save it again in MATLAB with save(…, '-v7')`);
  header('hello');
  expect(() => readMat(path)).toThrow(`Cannot read "${path}": it is not a MATLAB 5 file`);
  header(`${''.padEnd(124)}\x01\x00MI`);
  expect(() => readMat(path)).toThrow(`Cannot read "${path}": big-endian MATLAB files are not supported`);
  expect(() => readMat(join(folder, 'none.mat'))).toThrow(`Cannot read "${folder}/none.mat": no such file`);
  expect(() => readMat(folder)).toThrow(`Cannot read "${folder}": it is a folder`);
});

test('readMat() refuses every truncation in one sentence', () => {
  for (const fixture of [PARTS, CLASSES]) {
    const bytes = readFileSync(fixture);
    for (let length = 0; length < bytes.length; length += length < 300 ? 1 : 37) {
      if (length === 128) continue; // a header alone is a file without variables
      writeFileSync(path, bytes.subarray(0, length));
      expect(() => readMat(path), `at ${length}`).toThrow(/^Cannot read ".*a\.mat": [^\n]{10,120}$/);
    }
  }
});

test('readMat() refuses flipped bits of compressed data, whose checksum tells', () => {
  const bytes = readFileSync(PARTS);
  const whole = readMat(PARTS);
  let refused = 0;
  for (let bit = 128 * 8; bit < bytes.length * 8; bit += 7) {
    writeFileSync(path, flip(bytes, bit));
    try {
      expect(readMat(path), `bit ${bit}`).toEqual(whole); // a zero copied from another place is the same zero
    } catch (error) {
      refused++;
      expect((error as Error).message).toMatch(/^Cannot read ".*a\.mat": [^\n]{5,120}$/);
    }
  }
  expect(refused).toBeGreaterThan(450);
});

test('readMat() never hangs or crashes on flipped bits of plain data', () => {
  const bytes = inflated(PARTS);
  for (let bit = 128 * 8; bit < bytes.length * 8; bit += 211) {
    writeFileSync(path, flip(bytes, bit));
    try {
      readMat(path);
    } catch (error) {
      expect((error as Error).message).toMatch(/^Cannot read ".*a\.mat": [^\n]{5,160}$/);
    }
  }
});

function flip(bytes: Buffer, bit: number): Buffer {
  const flipped = Buffer.from(bytes);
  flipped[bit >> 3]! ^= 1 << (bit & 7);
  return flipped;
}

/** A compressed file of one variable without its compression. */
function inflated(compressed: string): Buffer {
  const bytes = readFileSync(compressed);
  return Buffer.concat([bytes.subarray(0, 128), inflateSync(bytes.subarray(136))]);
}

test('readMat() refuses an array that promises more than the file has, without allocating it', () => {
  writeMat(path, { a: matrix('uint8', [1, 1], Uint8Array.of(1)) }, { compress: false });
  const bytes = readFileSync(path);
  const dims = bytes.indexOf(Buffer.from(Int32Array.of(1, 1).buffer));
  bytes.writeInt32LE(2 ** 30, dims);
  writeFileSync(path, Buffer.concat([bytes.subarray(0, 128), compressed(bytes.subarray(128))]));
  expect(() => readMat(path)).toThrow('1073741824 values of 1 bytes do not fill 1 bytes');
});

function compressed(element: Buffer): Buffer {
  const deflated = deflateSync(element);
  return Buffer.concat([Buffer.from(Uint32Array.of(15, deflated.length).buffer), deflated]);
}

test('writeMat() refuses data that does not fit its sizes or class', () => {
  expect(() => writeMat(path, { a: matrix('uint8', [2, 2], Uint8Array.of(1)) })).toThrow(
    'writeMat: "a" [2, 2] must have 4 elements, got 1');
  expect(() => writeMat(path, { a: matrix('uint16', [1, 1], Uint8Array.of(1)) })).toThrow(
    'writeMat: class uint16 is held by Uint16Array, got Uint8Array');
});
