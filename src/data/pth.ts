import { crc32 } from 'node:zlib';
import { fromBufferPromise } from 'yauzl';

import { asFileError } from './file.ts';
import { readBytes } from './file_bytes.ts';
import { itemBytes, viewBytes } from './host_tensor.ts';
import type { TypedArray } from './host_tensor.ts';
import { unpickle } from './pickle.ts';
import { parseStorageId, torchHooks } from './torch_objects.ts';
import type { LoadStorage, Storage } from './torch_objects.ts';

/** The number that begins a file of torch.save before 1.6: pickled as one integer of 10 bytes. */
const LEGACY_MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;
const BIG_ENDIAN = 'a file of a big-endian machine is not supported';

/**
 * Reads what torch.save wrote, in the zip format or the one before it, and runs nothing of it.
 *
 * @returns tensors as HostTensor (contiguous ones are views of one buffer), dict and OrderedDict as Map,
 *   list and tuple as array, objects of other classes as `Inert`
 */
export async function readPth(path: string): Promise<unknown> {
  const bytes = readBytes(path);
  try {
    if (startsWith(bytes, 0, 'PK\x03\x04')) return await readZip(bytes);
    if (startsWith(bytes, 0, '\x80')) return readLegacy(bytes);
    if (startsWith(bytes, 257, 'ustar')) throw new Error('the tar format of PyTorch 0.1 is not supported');
    throw new Error('it must begin as a zip or a pickle of torch.save');
  } catch (error) {
    throw asFileError(path, error);
  }
}

/** `<name>/data.pkl`, and each storage in `<name>/data/<key>`. */
async function readZip(bytes: Uint8Array<ArrayBuffer>): Promise<unknown> {
  const entries = await zipEntries(bytes);
  const main = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (main.length !== 1) throw new Error(`the zip must hold one "<name>/data.pkl", got ${main.length}`);
  const root = main[0]!.slice(0, -'data.pkl'.length);
  const order = entries.get(`${root}byteorder`);
  if (order && startsWith(order, 0, 'big')) throw new Error(BIG_ENDIAN);
  const load = once((storage) => {
    const data = entries.get(`${root}data/${storage.key}`);
    if (!data) throw new Error(`storage "${storage.key}" is not in the zip`);
    return data;
  });
  return unpickle(entries.get(main[0]!)!, 0, torchHooks(load, bytes.length)).value;
}

/** The bytes of every entry, none copied, all held to their checksum. */
async function zipEntries(bytes: Uint8Array<ArrayBuffer>): Promise<Map<string, Uint8Array>> {
  const zip = await fromBufferPromise(Buffer.from(bytes.buffer), { lazyEntries: true });
  const entries = new Map<string, Uint8Array>();
  let total = 0; // entries that share bytes could have them read without end
  for await (const entry of zip.eachEntry()) {
    const { fileName: name, compressedSize: size } = entry;
    if (entry.compressionMethod !== 0) throw new Error(`zip entry "${name}" must not be compressed`);
    if (entries.has(name)) throw new Error(`zip entry "${name}" must stand in the zip once, got it twice`);
    const { fileDataStart: start } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
    const data = bytes.subarray(start, start + size);
    total += size;
    if (data.length !== size || size !== entry.uncompressedSize || total > bytes.length) {
      throw new Error(`zip entry "${name}" must lie in the file, apart from the others, ` +
        `got ${size} bytes from byte ${start}`);
    }
    // 0 is what torch.save writes when it is told to compute no checksums.
    if (entry.crc32 !== 0 && crc32(data) !== entry.crc32) {
      throw new Error(`zip entry "${name}" does not match its checksum (the file is damaged)`);
    }
    entries.set(name, data);
  }
  return entries;
}

/**
 * Five pickles (magic, protocol, system, the value, keys of the storages), then each storage: u64 length and
 * elements.
 * The storages stand after the value that needs them, so the value is read twice: once to know where it ends.
 */
function readLegacy(bytes: Uint8Array<ArrayBuffer>): unknown {
  const storages = new Map<string, Storage>();
  const scan = {
    call: () => undefined,
    persistent: (id: unknown) => {
      const storage = parseStorageId(id);
      storages.set(storage.key, storage);
      return null;
    },
  };
  const magic = unpickle(bytes, 0, scan);
  if (magic.value !== LEGACY_MAGIC) throw new Error('it is a pickle, but none of torch.save');
  const protocol = unpickle(bytes, magic.end, scan);
  if (protocol.value !== LEGACY_PROTOCOL) throw new Error('its protocol must be 1001, and is not');
  const system = unpickle(bytes, protocol.end, scan);
  if (!(system.value instanceof Map) || system.value.get('little_endian') !== true) {
    throw new Error(BIG_ENDIAN);
  }
  const { end } = unpickle(bytes, system.end, scan);
  const keys = unpickle(bytes, end, scan);
  const parts = legacyStorages(bytes, keys.end, keys.value, storages);
  const load = once(({ key }) => parts.get(key)!);
  return unpickle(bytes, system.end, torchHooks(load, bytes.length)).value;
}

function legacyStorages(
  bytes: Uint8Array<ArrayBuffer>, start: number, keys: unknown, storages: ReadonlyMap<string, Storage>,
): Map<string, Uint8Array> {
  const parts = new Map<string, Uint8Array>();
  const view = new DataView(bytes.buffer);
  let at = start;
  for (const key of Array.isArray(keys) ? keys as unknown[] : []) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (!storage || parts.has(storage.key)) {
      throw new Error('each of its storages must be referred to, and stand there once');
    }
    const length = at + 8 <= bytes.length ? Number(view.getBigUint64(at, true)) : NaN;
    const end = at + 8 + length * itemBytes(storage.dtype);
    if (!(end <= bytes.length)) throw new Error(`storage "${storage.key}": the file is cut short`);
    parts.set(storage.key, bytes.subarray(at + 8, end));
    at = end;
  }
  for (const key of storages.keys()) {
    if (!parts.has(key)) throw new Error(`storage "${key}" is not in the file`);
  }
  return parts;
}

/** Views a storage's bytes as elements, once each: an unaligned one is copied once, not for each tensor. */
function once(bytesOf: (storage: Storage) => Uint8Array): LoadStorage {
  const loaded = new Map<string, { dtype: string; data: TypedArray }>();
  return (storage) => {
    const known = loaded.get(storage.key);
    if (known && known.dtype === storage.dtype && known.data.length === storage.length) return known.data;
    const bytes = bytesOf(storage);
    const expected = storage.length * itemBytes(storage.dtype);
    if (known || bytes.length !== expected) {
      throw new Error(`storage "${storage.key}" must hold ${bytes.length} bytes in one dtype, ` +
        `got ${storage.length} elements of ${storage.dtype}`);
    }
    const data = viewBytes(storage.dtype, bytes);
    loaded.set(storage.key, { dtype: storage.dtype, data });
    return data;
  };
}

function startsWith(bytes: Uint8Array, at: number, text: string): boolean {
  return Buffer.from(bytes.subarray(at, at + text.length)).toString('latin1') === text;
}
