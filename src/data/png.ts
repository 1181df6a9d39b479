// PNG: label maps come as the numbers that the file holds (palette index or grey value), never as colours.
import { writeFileSync } from 'node:fs';
import { decode, encode } from 'fast-png';
import type { DecodedPng } from 'fast-png';
import { PNG } from 'pngjs';
import { decoding, readFile } from './file.ts';
import type { Picture } from './file.ts';
import { writing } from './file_bytes.ts';

/** `data` is [height, width]. */
export type LabelMap = {
  readonly width: number; readonly height: number; readonly data: Uint8Array | Uint16Array;
};
export type Palette = readonly (readonly [number, number, number])[];

const MAX_PIXELS = 2 ** 28;

/** Palette indices or grey values (1, 2, 4, 8 or 16 bits, not rescaled), one a pixel. */
export function readLabelPng(path: string): LabelMap {
  return readPng(path, ({ width, height, channels, depth, data }) => {
    if (channels !== 1) throw new Error(`a label map has one channel (palette or grey), got ${channels}`);
    if (depth === 16) return { width, height, data: data as Uint16Array };
    return { width, height, data: depth === 8 ? bytesOf(data) : unpack(bytesOf(data), width, height, depth) };
  });
}

/** An 8-bit colour picture; `data` is [height, width, 3]. Grey and palette files are refused. */
export function readRgbPng(path: string): Picture {
  return readPng(path, ({ width, height, channels, depth, data }) => {
    if (depth !== 8 || channels < 3) {
      throw new Error(`8-bit RGB is needed, got ${channels} channels of ${depth} bits`);
    }
    if (channels === 3) return { width, height, data: bytesOf(data) };
    const rgb = new Uint8Array(width * height * 3);
    for (let i = 0; i < rgb.length; i++) rgb[i] = data[Math.floor(i / 3) * 4 + (i % 3)]!;
    return { width, height, data: rgb };
  });
}

function readPng<T>(path: string, use: (png: DecodedPng) => T): T {
  const bytes = readFile(path);
  return decoding(path, () => {
    checkHeader(bytes);
    return use(decodeWhole(bytes));
  });
}

/**
 * fast-png reads past the end of a file that is cut, into whatever its buffer holds there: it gets a buffer
 * of its own. What it says of the end, in the words of a DataView, and of bad data tells nothing.
 */
function decodeWhole(bytes: Buffer): DecodedPng {
  try {
    return decode(new Uint8Array(bytes), { checkCrc: true });
  } catch (error) {
    const { message } = error as Error;
    if (!(error instanceof RangeError) && !message.startsWith('Error while decompressing')) throw error;
    throw new Error('the file is cut short or damaged', { cause: error });
  }
}

/** The sizes come first in the file, so that a wrong one costs no memory. */
function checkHeader(bytes: Buffer): void {
  if (bytes.toString('latin1', 0, 8) !== '\x89PNG\r\n\x1a\n') throw new Error('it is not a PNG file');
  if (bytes.length < 33) throw new Error('the file ends inside its header');
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  const [depth, interlaced] = [bytes[24]!, bytes[28]!];
  const pixels = width * height;
  if (pixels === 0 || pixels > MAX_PIXELS) throw new Error(`its size ${width}x${height} is out of range`);
  if (interlaced && depth < 8) throw new Error(`interlacing is not supported at ${depth} bits`);
}

function bytesOf(data: DecodedPng['data']): Uint8Array {
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}

/** Values of 1, 2 or 4 bits, high bits first, each row starting at a byte, to one a byte. */
function unpack(packed: Uint8Array, width: number, height: number, depth: number): Uint8Array {
  const [perByte, rowBytes, mask] = [8 / depth, Math.ceil((width * depth) / 8), (1 << depth) - 1];
  const values = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const byte = packed[y * rowBytes + Math.floor(x / perByte)]!;
      values[y * width + x] = (byte >> (8 - depth - (x % perByte) * depth)) & mask;
    }
  }
  return values;
}

/** `data` [height, width] holds indices into `palette`. */
export function writePalettePng(path: string, picture: Picture & { readonly palette: Palette }): void {
  const { width, height, data } = picture;
  const palette = picture.palette.map((colour) => [...colour]);
  const beyond = data.find((index) => index >= palette.length);
  if (beyond !== undefined) {
    throw new Error(`writePalettePng: the palette must hold colour ${beyond}, got ${palette.length} colours`);
  }
  const bytes = encode({ width, height, data, depth: 8, channels: 1, palette });
  writing(path, () => writeFileSync(path, bytes));
}

/** `data` is [height, width]. */
export function writeGrayPng(path: string, picture: Picture): void {
  const bytes = encodePicture(picture, 0);
  writing(path, () => writeFileSync(path, bytes));
}

/** `data` is [height, width, 3]. */
export function writeRgbPng(path: string, picture: Picture): void {
  const bytes = encodeRgbPng(picture);
  writing(path, () => writeFileSync(path, bytes));
}

/** The bytes of a PNG file; `data` is [height, width, 3]. */
export function encodeRgbPng(picture: Picture): Uint8Array {
  return encodePicture(picture, 2);
}

function encodePicture({ width, height, data }: Picture, colorType: 0 | 2): Uint8Array {
  const count = width * height * (colorType === 0 ? 1 : 3);
  if (data.length !== count) {
    throw new Error(`write PNG: ${width}x${height} must have ${count} bytes, got ${data.length}`);
  }
  const png = new PNG({ width, height });
  png.data = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const options = { colorType, inputColorType: colorType, bitDepth: 8, inputHasAlpha: false } as const;
  return PNG.sync.write(png, options);
}
