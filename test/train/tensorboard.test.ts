import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { decode } from 'fast-png';
import { expect, test } from 'vitest';
import { boardEntry } from '../../src/train/board.ts';
import { crc32c, EventFile } from '../../src/train/tensorboard.ts';
import { folderWith } from '../support/folder.ts';

type Field = { readonly number: number; readonly value: number | bigint | Buffer };

/** The messages of an event file, both checksums of each checked. */
function messages(path: string): Buffer[] {
  const file = readFileSync(path);
  const found: Buffer[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(file.readBigUInt64LE(at));
    const message = file.subarray(at + 12, at + 12 + length);
    expect(file.readUInt32LE(at + 8)).toBe(masked(file.subarray(at, at + 8)));
    expect(file.readUInt32LE(at + 12 + length)).toBe(masked(message));
    found.push(message);
    at += 16 + length;
  }
  return found;
}

function masked(bytes: Buffer): number {
  const crc = BigInt(crc32c(bytes));
  return Number((crc >> 15n | crc << 17n & 0xffffffffn) + 0xa282ead8n & 0xffffffffn);
}

/** A protobuf message's fields in order. */
function fields(bytes: Buffer): Field[] {
  const found: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    const take = (count: number): Buffer => bytes.subarray(at, at += count);
    const kind = key & 7;
    const value = kind === 0 ? varint() : kind === 1 ? take(8).readDoubleLE()
      : kind === 5 ? take(4).readFloatLE() : take(Number(varint()));
    found.push({ number: key >> 3, value });
  }
  return found;
}

const within = (found: Field[], number: number): Buffer =>
  found.find((field) => field.number === number)!.value as Buffer;

test('crc32c() has the check value of the Castagnoli polynomial', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
});

test('EventFile opens with its version and a session that purges what it repeats', () => {
  const file = new EventFile(folderWith(), 300);
  expect(basename(file.path)).toMatch(/^events\.out\.tfevents\.\d{10}\.[^/]+\.\d+$/);
  const [version, session] = messages(file.path).map(fields);
  expect(within(version!, 3).toString()).toBe('brain.Event:2');
  expect(Math.abs(Number(version![0]!.value) - Date.now() / 1000)).toBeLessThan(60);
  expect(session!.slice(1)).toEqual([
    { number: 2, value: 300n }, { number: 7, value: Buffer.from([8, 1]) },
  ]);
});

test('EventFile writes numbers by tag, of a run\'s training and evaluations', () => {
  const file = new EventFile(folderWith(), 0);
  boardEntry(file, { kind: 'train', step: 7, epoch: 0, lr: 0.25, loss: { total: 3, semseg: 1.5 },
    grad_norm: 2, images_per_second: 8, seconds_per_step: 0.5, data_wait: 0.125 });
  boardEntry(file, { kind: 'evaluation', step: 4_000_000_000, images: 2, delta_m: -1.5,
    loss: { total: 2, tasks: { semseg: 1 } }, scores: { semseg: { mIoU: 0.5 }, normals: { mean: 30 } } });
  boardEntry(file, { kind: 'checkpoint', step: 8, file: 'x' });
  const told = messages(file.path).slice(2).map((event) => {
    const all = fields(event);
    const values = fields(within(all, 5)).map(({ value }) => fields(value as Buffer));
    return [all[1]!.value, Object.fromEntries(values.map(([tag, value]) =>
      [(tag!.value as Buffer).toString(), value!.value]))];
  });
  expect(told).toEqual([
    [7n, { 'loss/total': 3, 'loss/semseg': 1.5, 'optimizer/lr': 0.25, 'optimizer/grad_norm': 2,
      'speed/images_per_second': 8, 'speed/data_wait': 0.125 }],
    [4_000_000_000n, { 'validation_loss/total': 2, 'validation_loss/semseg': 1, 'semseg/mIoU': 0.5,
      'normals/mean': 30, delta_m: -1.5 }],
  ]);
});

test('EventFile writes pictures as PNG', () => {
  const file = new EventFile(folderWith(), 0);
  const picture = { width: 3, height: 2, data: Uint8Array.from({ length: 18 }, (_, i) => 10 * i) };
  file.picture(5, 'predictions', picture);
  const value = fields(within(fields(within(fields(messages(file.path)[2]!), 5)), 1));
  expect(within(value, 1).toString()).toBe('predictions');
  const image = fields(within(value, 4));
  expect(image.slice(0, 3)).toEqual([2n, 3n, 3n].map((size, i) => ({ number: i + 1, value: size })));
  const png = decode(within(image, 4));
  expect([png.width, png.height, [...png.data]]).toEqual([3, 2, [...picture.data]]);
});
