import type nodeFs from 'node:fs';
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { writeBytes, WriteError, writing } from '../../src/data/file_bytes.ts';
import { folderWith } from '../support/folder.ts';

/** Room on the disk, in bytes; Infinity for that of the machine. */
const disk = vi.hoisted(() => ({ room: Infinity }));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof nodeFs>();
  const writeSync = (file: number, chunk: Uint8Array, at: number, length: number): number => {
    const taken = fs.writeSync(file, chunk, at, Math.min(length, disk.room));
    disk.room -= taken;
    if (taken > 0 || length === 0) return taken;
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  };
  return { ...fs, writeSync };
});

const FULL = '/dev/full';

test('writeBytes() leaves the file before and nothing else where the disk gets full', () => {
  const folder = folderWith({ a: 'before' });
  const path = join(folder, 'a');
  const chunks = [Buffer.alloc(10, 1), Buffer.alloc(10, 2)];
  for (const room of [0, 5, 10, 19]) {
    disk.room = room;
    expect(() => writeBytes(path, chunks), `${room} bytes`).toThrow(
      `Cannot write "${path}": the disk is full`);
    disk.room = Infinity;
    expect([readFileSync(path, 'utf8'), readdirSync(folder)]).toEqual(['before', ['a']]);
  }
  disk.room = 20;
  writeBytes(path, chunks);
  disk.room = Infinity;
  expect([...readFileSync(path)]).toEqual([...chunks[0]!, ...chunks[1]!]);
});

test.runIf(existsSync(FULL))('writeBytes() says so where the operating system itself has no room', () => {
  const folder = folderWith({ a: 'before' });
  const path = join(folder, 'a');
  symlinkSync(FULL, `${path}.tmp`);
  expect(() => writeBytes(path, [Buffer.alloc(10)])).toThrow(`Cannot write "${path}": the disk is full`);
  expect([readFileSync(path, 'utf8'), readdirSync(folder)]).toEqual(['before', ['a']]);
});

test('writeBytes() and writing() name the file and what is in the way', () => {
  const folder = folderWith();
  mkdirSync(join(folder, 'taken'));
  expect(() => writeBytes(join(folder, 'none', 'a'), [])).toThrow(
    `Cannot write "${join(folder, 'none', 'a')}": its folder does not exist`);
  expect(() => writing(join(folder, 'taken'), () => writeFileSync(join(folder, 'taken'), ''))).toThrow(
    `Cannot write "${join(folder, 'taken')}": it is a folder`);
  expect(new WriteError('a', Object.assign(new Error('EMFILE: many'), { code: 'EMFILE' })))
    .toMatchObject({ message: 'Cannot write "a": EMFILE: many', code: 'EMFILE' });
});
