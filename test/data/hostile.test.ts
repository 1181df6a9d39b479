import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { unpickle } from '../../src/data/pickle.ts';
import { Inert } from '../../src/data/pickle_machine.ts';
import { readPth } from '../../src/data/pth.ts';
import { loadStateDict } from '../../src/data/state_dict.ts';
import { torchHooks } from '../../src/data/torch_objects.ts';
import { seeded } from '../support/seeded.ts';
import { zipOf } from '../support/zip.ts';

const folder = mkdtempSync(join(tmpdir(), 'hostile-'));
const path = join(folder, 'x.pth');

/** Pickle opcodes, as text of one byte a character. */
function u32(value: number): string {
  return String.fromCharCode(value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24);
}
const int = (value: number): string => `J${u32(value)}`;
const text = (value: string): string => `X${u32(value.length)}${value}`;
const tuple = (...items: string[]): string => `(${items.join('')}t`;
const name = (path: string): string => `c${path.replace(/\.(?=[^.]+$)/, '\n')}\n`;
const call = (path: string, ...args: string[]): string => `${name(path)}${tuple(...args)}R`;
const storage = (type: string, length: string, key = '0'): string =>
  `${tuple(text('storage'), name(`torch.${type}`), text(key), text('cpu'), length)}Q`;
const INTS = storage('IntStorage', int(6));

/** A tensor over a storage of 6 floats, unless told otherwise. */
function tensor({ offset = int(0), shape = tuple(int(2), int(3)), strides = tuple(int(3), int(1)),
  over = storage('FloatStorage', int(6)) } = {}): string {
  return call('torch._utils._rebuild_tensor_v2', over, offset, shape, strides, '\x89', '}');
}

async function readPickle(pickle: string, more: [string, string][] = []): Promise<unknown> {
  const entries: [string, string][] = [['a/data.pkl', `\x80\x02${pickle}.`], ['a/data/0', '\0'.repeat(24)]];
  writeFileSync(path, await zipOf([...entries, ...more]));
  return readPth(path);
}

test('readPth() runs nothing: a call of os.system is a record of its argument', async () => {
  const proof = join(folder, 'ran');
  const value = await readPickle(call('posix.system', text(`touch ${proof}`)));
  expect(value).toBeInstanceOf(Inert);
  expect(value).toMatchObject({ global: 'posix.system', args: [`touch ${proof}`] });
  const built = await readPickle(`${call('builtins.eval', text('1'))}}(${text('a')}${int(1)}ub`) as Inert;
  expect([built.global, built.state]).toEqual(['builtins.eval', new Map([['a', 1]])]);
  expect(existsSync(proof)).toBe(false);
});

test('readPth() reads the plain tensor that the hostile ones differ from', async () => {
  expect(await readPickle(tensor())).toEqual({ dtype: 'F32', shape: [2, 3], data: new Float32Array(6) });
});

const HUGE = '\x8a\x08\0\0\0\0\0\0\x10\0'; // 2^52
const OUTSIDE = 'must lie in the 6 elements of its storage';
const NO_NUMBERS = 'offset, shape and strides are no whole numbers';
test.each<[string, string, string]>([
  ['a negative stride', tensor({ strides: tuple(int(-3), int(1)) }), NO_NUMBERS],
  ['a negative offset', tensor({ offset: int(-1) }), NO_NUMBERS],
  ['a text for a shape', tensor({ shape: text('23') }), NO_NUMBERS],
  ['strides of another rank', tensor({ strides: tuple(int(1)) }), NO_NUMBERS],
  ['a negative size', tensor({ shape: tuple(int(-2), int(3)) }), 'shape is no list of sizes'],
  ['a view past its storage', tensor({ offset: int(1) }), `a tensor [2,3] ${OUTSIDE}, got offset 1`],
  ['a huge stride', tensor({ strides: tuple(HUGE, HUGE) }), OUTSIDE],
  ['a huge view of nothing', tensor({ shape: tuple(HUGE), strides: tuple(int(0)) }), 'unfold to far more'],
  ['sizes whose product overflows', tensor({ shape: tuple(HUGE, HUGE) }), 'shape is no list of sizes'],
  ['a storage that is too long', tensor({ over: storage('FloatStorage', int(7)) }), 'must hold 24 bytes'],
  ['a storage of huge length', tensor({ over: storage('FloatStorage', HUGE) }), 'must hold 24 bytes'],
  ['a storage in two dtypes', tuple(tensor(), tensor({ over: INTS })), 'in one dtype'],
  ['a storage of unknown type', tensor({ over: storage('QInt8Storage', int(6)) }), 'QInt8Storage" is not'],
  ['a storage that is none', tensor({ over: int(3) }), 'a tensor from what is no storage'],
  ['a reference that is no storage', `${int(3)}Q`, 'by what is no storage id'],
  ['a storage that is missing', storage('FloatStorage', int(6), '9'), '"9" is not in the zip'],
  ['an integer of 4 GB', `\x8b${u32(-1)}`, 'an integer of 4294967295 bytes is refused'],
  ['a text of 2^63 bytes', '\x8d\0\0\0\0\0\0\0\x80', 'the pickle is cut short'],
  ['a memo never stored', 'h\x05', 'recalls memo 5 that it did not store'],
  ['a mark never set', 't', 'takes to a mark that it did not set'],
  ['an empty stack', '0', 'takes from an empty stack'],
  ['an append to a number', `${int(1)}${int(2)}a`, 'appends to what is no list'],
  ['half an item', `}(${int(1)}u`, 'sets items of what is no dict'],
  ['a call of a number', `${int(1)})R`, 'calls what is no name'],
  ['a name that is no text', `${int(1)}${int(2)}\x93`, 'names by what is no text'],
  ['attributes of a number', `${int(1)}}b`, 'gives attributes to what is no object'],
  ['an opcode of protocol 0', 'I1\n', 'opcode 73 is not one of protocols 2 to 5'],
  ['millions of opcodes', 'N0'.repeat(2_000_001), 'more than 4000000 opcodes'],
])('readPth() refuses %s', async (_, pickle, message) => {
  await expect(readPickle(pickle)).rejects.toThrow(message);
  await expect(readPickle(pickle)).rejects.toThrow(/^Cannot read "[^"]+": [^\n]+$/);
});

test('readPth() bears nesting of any depth, and what contains itself', async () => {
  let value = await readPickle(`${']'.repeat(100_000)}${'a'.repeat(99_999)}`);
  let depth = 0;
  for (; Array.isArray(value); value = value[0] as unknown) depth++;
  expect(depth).toBe(100_000);
  const loop = await readPickle(']q\0h\0a') as unknown[];
  expect(loop[0]).toBe(loop);
});

test('readPth() counts what shared values unfold to', async () => {
  const list = `](${int(1).repeat(100_000)}eq\0`;
  await expect(readPickle(`(${list}${call('builtins.set', 'h\0').repeat(5000)}t`)).rejects.toThrow('unfold');
  const wide = tensor({ shape: tuple(int(1024), int(1024)), strides: tuple(int(0), int(0)) });
  expect(await readPickle(wide)).toMatchObject({ shape: [1024, 1024] });
  await expect(readPickle(tuple(...Array<string>(20).fill(wide)))).rejects.toThrow('unfold');
});

/** The central directory's record of the first entry, to be patched. */
function directory(zip: Buffer): number {
  return zip.indexOf('PK\x01\x02', 0, 'latin1');
}

const GOOD: [string, string][] = [['a/data.pkl', `\x80\x02${tensor()}.`], ['a/data/0', '\0'.repeat(24)]];
test.each<[string, (zip: Buffer) => void, string]>([
  ['sizes past the end', (zip) => {
    zip.writeUInt32LE(0x7fffffff, directory(zip) + 20);
    zip.writeUInt32LE(0x7fffffff, directory(zip) + 24);
  }, 'Cannot read'],
  ['two sizes that differ', (zip) => zip.writeUInt32LE(5, directory(zip) + 24), 'Cannot read'],
  ['a wrong checksum', (zip) => zip.writeUInt32LE(5, directory(zip) + 16), 'does not match its checksum'],
  ['more entries than it has', (zip) => zip.writeUInt16LE(900, zip.length - 12), 'Cannot read'],
  ['an encrypted entry', (zip) => zip.writeUInt16LE(1, directory(zip) + 8), 'Cannot read'],
])('readPth() refuses a zip with %s', async (_, patch, message) => {
  const zip = await zipOf(GOOD);
  patch(zip);
  writeFileSync(path, zip);
  await expect(readPth(path)).rejects.toThrow(message);
});

test('readPth() refuses zip entries that share bytes', async () => {
  const zip = await zipOf([['a/data/0', '\0'.repeat(2000)], ['a/data.pkl', '\x80\x02N.']]);
  const [start, end] = [directory(zip), zip.lastIndexOf('PK\x05\x06', undefined, 'latin1')];
  const record = zip.subarray(start, zip.indexOf('PK\x01\x02', start + 4, 'latin1'));
  const [twin, tail] = [Buffer.from(record), Buffer.from(zip.subarray(end))];
  twin[twin.indexOf('a/data/0') + 7] = '1'.charCodeAt(0);
  tail.writeUInt16LE(3, 8); // entries on this disk, and in all
  tail.writeUInt16LE(3, 10);
  tail.writeUInt32LE(tail.readUInt32LE(12) + twin.length, 12);
  writeFileSync(path, Buffer.concat([zip.subarray(0, end), twin, tail]));
  await expect(readPth(path)).rejects.toThrow('"a/data/1" must lie in the file, apart from the others');
});

test('readPth() takes a zip without checksums, as PyTorch can write them', async () => {
  const zip = await zipOf(GOOD);
  zip.writeUInt32LE(0, directory(zip) + 16);
  writeFileSync(path, zip);
  expect(await readPth(path)).toMatchObject({ shape: [2, 3] });
});

test('readPth() refuses zips that are no checkpoint', async () => {
  const refuse = async (zip: Promise<Buffer>, message: string): Promise<void> => {
    writeFileSync(path, await zip);
    await expect(readPth(path)).rejects.toThrow(message);
  };
  await refuse(zipOf([['readme.txt', 'x']]), 'must hold one "<name>/data.pkl", got 0');
  await refuse(zipOf([...GOOD, ['b/data.pkl', 'x']]), 'must hold one "<name>/data.pkl", got 2');
  await refuse(zipOf([...GOOD, ['a/data/0', 'x']]), '"a/data/0" must stand in the zip once');
  await refuse(zipOf([...GOOD, ['a/byteorder', 'big']]), 'a file of a big-endian machine is not supported');
  await refuse(zipOf([['a/data.pkl', 'x'.repeat(1000)]], true), '"a/data.pkl" must not be compressed');
});

test('readPth() names what a file is that torch.save did not write', async () => {
  const refuse = async (bytes: Buffer, message: string): Promise<void> => {
    writeFileSync(path, bytes);
    await expect(readPth(path)).rejects.toThrow(message);
  };
  const tar = Buffer.alloc(512);
  tar.write('ustar', 257);
  await refuse(tar, 'the tar format of PyTorch 0.1 is not supported');
  await refuse(Buffer.from('\x80\x02}.', 'latin1'), 'it is a pickle, but none of torch.save');
  await refuse(Buffer.from('<!DOCTYPE html>'), 'it must begin as a zip or a pickle of torch.save');
  await refuse(Buffer.alloc(0), 'it must begin as');
});

test('loadStateDict() takes a flat dict and "state_dict", and lists the keys of other files', async () => {
  await readPickle(`}(${text('w')}${tensor()}${text('epoch')}${int(3)}u`);
  expect([...(await loadStateDict(path)).keys()]).toEqual(['w']);
  await readPickle(`}(${text('state_dict')}}(${text('v')}${tensor()}uu`);
  expect([...(await loadStateDict(path)).keys()]).toEqual(['v']);
  await readPickle(`}(${text('epoch')}${int(3)}${text('note')}Nu`);
  await expect(loadStateDict(path)).rejects.toThrow(
    'no tensors under "model", "state_dict" or at its top, its keys are [epoch, note]');
  await readPickle(call('models.swin.Swin'));
  await expect(loadStateDict(path)).rejects.toThrow('it is one object of class "models.swin.Swin"');
});

test('unpickle() gives a value or a sentence for random opcodes', () => {
  const parts = [int(1), text('0'), 'N', '(', 't', ')', ']', '}', 'e', 'a', 'u', 's', 'R', 'b', 'Q', 'q\0',
    'h\0', '0', '2', '\x85', '\x86', '\x87', '\x81', '\x93', '\x8f', '\x90', INTS, tensor(),
    ...['builtins.set', 'torch.Size', 'collections.OrderedDict', 'torch._utils._rebuild_tensor_v2',
      'torch._utils._rebuild_parameter', 'torch._tensor._rebuild_from_type_v2', '_codecs.encode'].map(name)];
  const pick = seeded(11);
  const seen = { read: 0, refused: 0 };
  for (let round = 0; round < 20_000; round++) {
    const opcodes = Array.from({ length: 1 + pick(24) }, () => parts[pick(parts.length)]!).join('');
    const bytes = Buffer.from(`${opcodes}.`, 'latin1');
    try {
      unpickle(bytes, 0, torchHooks(() => new Float32Array(6), 1000));
      seen.read++;
    } catch (error) {
      seen.refused++;
      expect((error as Error).constructor, `${opcodes}: ${(error as Error).stack}`).toBe(Error);
    }
  }
  expect(Math.min(seen.read, seen.refused)).toBeGreaterThan(500);
});
