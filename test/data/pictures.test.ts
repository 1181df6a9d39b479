import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { encode } from 'fast-png';
import { afterAll, describe, expect, test } from 'vitest';
import { readJpeg, writeJpeg } from '../../src/data/jpeg.ts';
import { readNpy } from '../../src/data/npy.ts';
import { readLabelPng, readRgbPng, writeGrayPng, writePalettePng, writeRgbPng } from '../../src/data/png.ts';

const folder = mkdtempSync(join(tmpdir(), 'pictures-'));
const path = join(folder, 'a');
afterAll(() => rmSync(folder, { recursive: true }));

const PASCAL = 'test/fixtures/data/pascal-mini';
const NYUD = 'test/fixtures/data/nyud-mini';
const ONE_SENTENCE = /^Cannot read ".*": [^\n]{5,160}$/;

/** Asserts that `read` refuses `bytes` in one sentence. */
async function refuses(read: (path: string) => unknown, bytes: Uint8Array, what: string): Promise<void> {
  writeFileSync(path, bytes);
  await expect((async () => read(path))(), what).rejects.toThrow(ONE_SENTENCE);
}

describe('PNG', () => {
  const index = Uint8Array.of(0, 1, 2, 2, 1, 0);

  test('writePalettePng() keeps indices, also of colours that are equal', () => {
    writePalettePng(path, { width: 3, height: 2, data: index, palette: [[9, 9, 9], [9, 9, 9], [1, 2, 3]] });
    expect(readLabelPng(path)).toEqual({ width: 3, height: 2, data: index });
    expect(() => writePalettePng(path, { width: 3, height: 2, data: index, palette: [[0, 0, 0]] })).toThrow(
      'writePalettePng: the palette must hold colour 1, got 1 colours');
  });

  test('writeGrayPng() and writeRgbPng() keep every value', () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    writeGrayPng(path, { width: 16, height: 16, data: all });
    expect(readLabelPng(path)).toEqual({ width: 16, height: 16, data: all });
    const rgb = Uint8Array.from({ length: 3 * 35 }, (_, i) => (i * 37) % 256);
    writeRgbPng(path, { width: 7, height: 5, data: rgb });
    expect(readRgbPng(path)).toEqual({ width: 7, height: 5, data: rgb });
    expect(() => writeRgbPng(path, { width: 7, height: 6, data: rgb })).toThrow(
      'write PNG: 7x6 must have 126 bytes, got 105');
  });

  test('readLabelPng() unpacks 1, 2 and 4 bits and keeps 16', () => {
    // Two rows of five values each; a row starts at a byte of its own.
    const cases = [
      [1, [0b10110000, 0b01000000], [1, 0, 1, 1, 0, 0, 1, 0, 0, 0]],
      [2, [0b11100100, 0b00000000, 0b01101100, 0b01000000], [3, 2, 1, 0, 0, 1, 2, 3, 0, 1]],
      [4, [0xf0, 0x70, 0x10, 0x1e, 0x20, 0x30], [15, 0, 7, 0, 1, 1, 14, 2, 0, 3]],
    ] as const;
    for (const [depth, packed, want] of cases) {
      writeFileSync(path, encode({ width: 5, height: 2, depth, channels: 1, data: Uint8Array.from(packed) }));
      expect([...readLabelPng(path).data], `${depth} bits`).toEqual(want);
    }
    const wide = Uint16Array.of(0, 255, 256, 65535);
    writeFileSync(path, encode({ width: 2, height: 2, depth: 16, channels: 1, data: wide }));
    expect(readLabelPng(path)).toEqual({ width: 2, height: 2, data: wide });
  });

  test('readRgbPng() drops alpha', () => {
    const data = Uint8Array.of(1, 2, 3, 0, 4, 5, 6, 9);
    writeFileSync(path, encode({ width: 2, height: 1, channels: 4, data }));
    expect([...readRgbPng(path).data]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('readLabelPng() and readRgbPng() refuse the other kind of picture, and sizes out of range', () => {
    expect(() => readLabelPng(`${PASCAL}/normals_distill/2008_000001.png`)).toThrow(
      'a label map has one channel (palette or grey), got 3');
    const grey = `${PASCAL}/sal_distill/2008_000001.png`;
    expect(() => readRgbPng(grey)).toThrow('8-bit RGB is needed, got 1 channels of 8 bits');
    const bytes = readFileSync(grey);
    bytes.writeUInt32BE(0x7fffffff, 16);
    bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
    writeFileSync(path, bytes);
    expect(() => readLabelPng(path)).toThrow(`Cannot read "${path}": its size 2147483647x48 is out of range`);
  });

  test.each([
    ['semseg/VOC12', readLabelPng], ['sal_distill', readLabelPng], ['normals_distill', readRgbPng],
  ] as const)('%s: every truncation and every flipped bit is refused', async (name, read) => {
    const bytes = readFileSync(`${PASCAL}/${name}/2009_000003.png`);
    for (let length = 0; length < bytes.length; length += 13) {
      await refuses(read, bytes.subarray(0, length), `${length}`);
    }
    for (let bit = 0; bit < bytes.length * 8; bit += 29) {
      await refuses(read, flip(bytes, bit), `bit ${bit}`);
    }
  });
});

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const flipped = Uint8Array.from(bytes);
  flipped[bit >> 3]! ^= 1 << (bit & 7);
  return flipped;
}

describe('JPEG', () => {
  const bytes = readFileSync(`${PASCAL}/JPEGImages/2008_000001.jpg`);

  test('writeJpeg() keeps a smooth picture to a few levels', async () => {
    const [width, height] = [32, 24];
    const data = Uint8Array.from({ length: 3 * width * height }, (_, i) =>
      [4 * Math.floor(i / 3 / width), 100, 200][i % 3]!);
    await writeJpeg(path, { width, height, data }, { quality: 95 });
    const read = await readJpeg(path);
    expect([read.width, read.height]).toEqual([width, height]);
    expect(Math.max(...read.data.map((value, i) => Math.abs(value - data[i]!)))).toBeLessThanOrEqual(4);
    await writeJpeg(`${path}2`, { width, height, data }, { quality: 30 });
    expect(readFileSync(`${path}2`).length).toBeLessThan(readFileSync(path).length);
  });

  test('readJpeg() gives grey pictures three equal channels', async () => {
    const { data } = await readJpeg(`${NYUD}/images/0002.jpg`);
    expect(data.some((value, i) => i % 3 > 0 && value !== data[i - 1])).toBe(false);
  });

  test('readJpeg() refuses truncated files and other formats', async () => {
    for (let length = 0; length < bytes.length - 2; length += 11) {
      await refuses(readJpeg, bytes.subarray(0, length), `${length}`);
    }
    await refuses(readJpeg, readFileSync(`${PASCAL}/sal_distill/2008_000001.png`), 'a PNG');
    await refuses(readJpeg, Buffer.from('<svg/>'), 'an SVG');
  });

  test('readJpeg() says one sentence or reads a picture where bits are flipped', async () => {
    let refused = 0;
    for (let bit = 16; bit < bytes.length * 8; bit += 101) {
      writeFileSync(path, flip(bytes, bit));
      await readJpeg(path).catch((error: Error) => {
        refused++;
        expect(error.message).toMatch(ONE_SENTENCE);
      });
    }
    expect(refused).toBeGreaterThan(10);
  });
});

describe('.npy', () => {
  type Options = { fortran?: 'True' | 'False'; version?: 1 | 2 };
  /** A file as NumPy writes it. */
  function npy(descr: string, shape: string, values: NodeJS.TypedArray, options: Options = {}): Uint8Array {
    const { fortran = 'False', version = 1 } = options;
    const dict = `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`;
    const before = version === 1 ? 10 : 12;
    const header = `${dict.padEnd(64 * Math.ceil((dict.length + before + 1) / 64) - before - 1)}\n`;
    const length = (version === 1 ? Uint16Array : Uint32Array).of(header.length);
    const magic = Buffer.from(`\x93NUMPY${String.fromCharCode(version)}\0`, 'latin1');
    return Buffer.concat([magic, bytesOf(length), Buffer.from(header), bytesOf(values)]);
  }
  function bytesOf({ buffer, byteOffset, byteLength }: NodeJS.TypedArray): Uint8Array {
    return new Uint8Array(buffer, byteOffset, byteLength);
  }

  test.each([
    ['<f8', Float64Array.of(1.5, -2)], ['<f4', Float32Array.of(0.1, 3)], ['<i4', Int32Array.of(-1, 7)],
    ['|u1', Uint8Array.of(0, 255)], ['|b1', Uint8Array.of(0, 1)], ['<u2', Uint16Array.of(1, 65535)],
    ['<i8', BigInt64Array.of(-1n, 2n ** 60n)],
  ] as const)('readNpy() reads %s', (descr, values) => {
    for (const version of [1, 2] as const) {
      writeFileSync(path, npy(descr, '(2,)', values, { version }));
      expect(readNpy(path)).toEqual({ shape: [2], data: values });
    }
  });

  test('readNpy() turns Fortran order into row-major, in any number of dimensions', () => {
    writeFileSync(path, npy('|u1', '(2, 3)', Uint8Array.of(0, 3, 1, 4, 2, 5), { fortran: 'True' }));
    expect(readNpy(path)).toEqual({ shape: [2, 3], data: Uint8Array.of(0, 1, 2, 3, 4, 5) });
    const cube = Uint8Array.of(0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11);
    writeFileSync(path, npy('|u1', '(2, 3, 2)', cube, { fortran: 'True' }));
    expect([...readNpy(path).data]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    writeFileSync(path, npy('<f8', '()', Float64Array.of(3)));
    expect(readNpy(path)).toEqual({ shape: [], data: Float64Array.of(3) });
  });

  test('readNpy() refuses what it cannot read, in one sentence', async () => {
    const eight = new Uint8Array(8);
    const cases: [string, Uint8Array][] = [
      ['not a .npy file', Buffer.from('PK')],
      ['big-endian values (">f8") are not supported', npy('>f8', '(1,)', eight)],
      ['values of type "|O" are not supported', npy('|O', '(1,)', eight)],
      ['[3] of "<f4" takes 12 bytes, got 8', npy('<f4', '(3,)', eight)],
      ['[1] of "<f4" takes 4 bytes, got 8', npy('<f4', '(1,)', eight)],
      ['must have a plain descr, fortran_order and shape', npy('<f4', 'x', eight)],
    ];
    for (const [problem, bytes] of cases) {
      writeFileSync(path, bytes);
      expect(() => readNpy(path)).toThrow(problem);
    }
    const bytes = readFileSync(`${NYUD}/depth/0001.npy`);
    for (let length = 0; length < bytes.length; length += 61) {
      await refuses(readNpy, bytes.subarray(0, length), `${length}`);
    }
  });
});
