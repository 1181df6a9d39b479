// Event files that TensorBoard reads: TFRecord frames, each of one protobuf message `Event`.
//
//   frame    u64 length · u32 crc(length) · bytes · u32 crc(bytes)     little-endian, CRC-32C, masked
//   Event    1 wall_time f64 · 2 step · 3 file_version · 5 Summary · 7 SessionLog {1 status}
//   Summary  1 Value {1 tag, 2 simple_value f32, 4 Image {1 height, 2 width, 3 channels, 4 PNG}}, repeated
import { appendFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Picture } from '../data/file.ts';
import { writing } from '../data/file_bytes.ts';
import { encodeRgbPng } from '../data/png.ts';

type Bytes = Uint8Array;

/** Tells TensorBoard to drop what it knows of this step and later ones: a run may have gone back. */
const SESSION_START = 1;
const VERSION = 'brain.Event:2';

/** Appends scalars and pictures to an event file of its own. */
export class EventFile {
  readonly path: string;

  constructor(folder: string, step: number) {
    const name = `events.out.tfevents.${Math.floor(Date.now() / 1000)}.${hostname()}.${process.pid}`;
    this.path = join(folder, name);
    this.#append(text(3, VERSION));
    this.#append(whole(2, step), message(7, whole(1, SESSION_START)));
  }

  /** Numbers by tag, such as `loss/semseg`. */
  scalars(step: number, values: Readonly<Record<string, number>>): void {
    const all = Object.entries(values).map(([tag, value]) => message(1, text(1, tag), float(2, value)));
    this.#append(whole(2, step), message(5, ...all));
  }

  picture(step: number, tag: string, picture: Picture): void {
    const { width, height } = picture;
    const image = [whole(1, height), whole(2, width), whole(3, 3), field(4, encodeRgbPng(picture))];
    this.#append(whole(2, step), message(5, message(1, text(1, tag), message(4, ...image))));
  }

  #append(...fields: Bytes[]): void {
    const bytes = frame(Buffer.concat([double(1, Date.now() / 1000), ...fields]));
    writing(this.path, () => appendFileSync(this.path, bytes));
  }
}

function frame(bytes: Bytes): Bytes {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, maskedCrc(length), bytes, maskedCrc(bytes)]);
}

const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5] as const;

function key(number: number, kind: number): Bytes {
  return Uint8Array.of(number << 3 | kind);
}

function varint(value: number): Bytes {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(rest % 128 + 128);
  return Uint8Array.of(...bytes, rest);
}

function whole(number: number, value: number): Bytes {
  return Buffer.concat([key(number, VARINT), varint(value)]);
}

function float(number: number, value: number): Bytes {
  return Buffer.concat([key(number, FIXED32), new Uint8Array(Float32Array.of(value).buffer)]);
}

function double(number: number, value: number): Bytes {
  return Buffer.concat([key(number, FIXED64), new Uint8Array(Float64Array.of(value).buffer)]);
}

function field(number: number, bytes: Bytes): Bytes {
  return Buffer.concat([key(number, LENGTH), varint(bytes.length), bytes]);
}

function text(number: number, value: string): Bytes {
  return field(number, Buffer.from(value));
}

function message(number: number, ...fields: Bytes[]): Bytes {
  return field(number, Buffer.concat(fields));
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** CRC-32C (Castagnoli) of bytes. */
export function crc32c(bytes: Bytes): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = crc >>> 8 ^ CRC_TABLE[(crc ^ byte) & 255]!;
  return ~crc >>> 0;
}

/** Rotated right by 15 and moved, so that the sum of bytes that hold sums is sound. */
function maskedCrc(bytes: Bytes): Bytes {
  const crc = crc32c(bytes);
  const masked = Buffer.alloc(4);
  masked.writeUInt32LE(((crc >>> 15 | crc << 17) + 0xa282ead8) >>> 0);
  return masked;
}
