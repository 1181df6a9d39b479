// NumPy's .npy: magic, version, header length, a Python dict as text, then the values.
import { writeFileSync } from 'node:fs';
import { decoding, readFile } from './file.ts';
import { writing } from './file_bytes.ts';

/** `data` is row-major whatever the file's order is. */
export type NpyArray = { readonly shape: readonly number[]; readonly data: NpyData };
export type NpyData =
  | Float64Array | Float32Array | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array
  | BigInt64Array;

const ARRAYS = {
  f8: Float64Array, f4: Float32Array, i1: Int8Array, u1: Uint8Array, b1: Uint8Array,
  i2: Int16Array, u2: Uint16Array, i4: Int32Array, u4: Uint32Array, i8: BigInt64Array,
} as const;

/** Reads a little-endian array of numbers or booleans (as 0 and 1). */
export function readNpy(path: string): NpyArray {
  const bytes = readFile(path);
  return decoding(path, () => parseNpy(bytes));
}

function parseNpy(bytes: Buffer): NpyArray {
  if (bytes.toString('latin1', 0, 6) !== '\x93NUMPY') throw new Error('it is not a .npy file');
  const wide = bytes[6]! >= 2;
  const begin = wide ? 12 : 10;
  if (bytes.length < begin) throw new Error('the file ends inside its header');
  const end = begin + (wide ? bytes.readUInt32LE(8) : bytes.readUInt16LE(8));
  if (end > bytes.length) throw new Error('the file ends inside its header');
  const { descr, fortran, shape } = parseHeader(bytes.toString('latin1', begin, end));

  const [, order, kind] = /^([<|>=])(\w\d+)$/.exec(descr) ?? [];
  if (order === '>') throw new Error(`big-endian values ("${descr}") are not supported`);
  if (!kind || !Object.hasOwn(ARRAYS, kind)) throw new Error(`values of type "${descr}" are not supported`);
  const Values = ARRAYS[kind as keyof typeof ARRAYS];
  const count = shape.reduce((a, b) => a * b, 1);
  const expected = count * Values.BYTES_PER_ELEMENT;
  if (bytes.length - end !== expected) {
    throw new Error(`[${shape.join(', ')}] of "${descr}" takes ${expected} bytes, got ${bytes.length - end}`);
  }
  // A copy: the values need not be aligned in the file.
  const data = new Values(Uint8Array.from(bytes.subarray(end)).buffer);
  return { shape, data: fortran ? rowMajor(data, shape) : data };
}

function parseHeader(text: string): { descr: string; fortran: boolean; shape: number[] } {
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const fortran = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(text)?.[1];
  if (descr === undefined || fortran === undefined || shape === undefined) {
    const got = JSON.stringify(text.slice(0, 60));
    throw new Error(`its header must have a plain descr, fortran_order and shape, got ${got}`);
  }
  return { descr, fortran: fortran === 'True', shape: (shape.match(/\d+/g) ?? []).map(Number) };
}

function rowMajor<T extends NpyData>(data: T, shape: readonly number[]): T {
  const out = data.slice() as T;
  const index = new Array<number>(shape.length).fill(0);
  for (let i = 0; i < out.length; i++) {
    let [from, stride] = [0, 1];
    for (let axis = 0; axis < shape.length; axis++) {
      from += index[axis]! * stride;
      stride *= shape[axis]!;
    }
    out[i] = data[from]!;
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis]! === shape[axis]; axis--) index[axis] = 0;
  }
  return out;
}

/** `data` is row-major, of `shape`. */
export function writeNpy(path: string, shape: readonly number[], data: Float32Array): void {
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${tuple}), }`;
  const size = Math.ceil((10 + text.length + 1) / 64) * 64 - 10;       // values start at a multiple of 64
  const header = Buffer.alloc(10 + size, ' ');
  header.write('\x93NUMPY\x01\x00', 'latin1');
  header.writeUInt16LE(size, 8);
  header.write(text, 10);
  header[9 + size] = 10;
  const bytes = Buffer.concat([header, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]);
  writing(path, () => writeFileSync(path, bytes));
}
