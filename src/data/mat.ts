// MATLAB 5 files (`save` with -v6, compressed with -v7): a 128-byte header, then one element a variable.
// An element is a tag (type, byte count), bytes, padding to 8; up to 4 bytes share 8 with their tag (small).
// Arrays are column-major and stored in the narrowest type that holds the values, whatever their class is.
import { inflateSync } from 'node:zlib';
import { decoding, readFile } from './file.ts';

export type MatClass = keyof typeof CLASSES;
export type MatData =
  | Float64Array | Float32Array
  | Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;
/** `data` is column-major: dims [h, w] has element (y, x) at x·h + y. */
export type MatNumeric = {
  readonly kind: 'numeric'; readonly class: MatClass; readonly dims: Dims; readonly data: MatData;
};
export type MatChar = { readonly kind: 'char'; readonly dims: Dims; readonly text: string };
export type MatCell = { readonly kind: 'cell'; readonly dims: Dims; readonly cells: readonly MatValue[] };
/** A struct array; a 1x1 struct is one with a single element. */
export type MatStruct = {
  readonly kind: 'struct';
  readonly dims: Dims;
  readonly fields: readonly string[];
  readonly elements: readonly Readonly<Record<string, MatValue>>[];
};
export type MatValue = MatNumeric | MatChar | MatCell | MatStruct;
type Dims = readonly number[];

type Source = { bytes: Buffer; at: number };
type Element = { type: number; body: Buffer };
type Values = (typeof CLASSES)[MatClass][1];

/** A class's number in the file and the array that holds it; 64-bit integers become doubles. */
export const CLASSES = {
  double: [6, Float64Array], single: [7, Float32Array], int8: [8, Int8Array], uint8: [9, Uint8Array],
  int16: [10, Int16Array], uint16: [11, Uint16Array], int32: [12, Int32Array], uint32: [13, Uint32Array],
  int64: [14, Float64Array], uint64: [15, Float64Array], logical: [9, Uint8Array],
} as const;
/** What an element's bytes are: size of a value and how to read it. */
const STORED: Record<number, [size: number, read: (bytes: Buffer, at: number) => number]> = {
  1: [1, (b, at) => b.readInt8(at)], 2: [1, (b, at) => b[at]!],
  3: [2, (b, at) => b.readInt16LE(at)], 4: [2, (b, at) => b.readUInt16LE(at)],
  5: [4, (b, at) => b.readInt32LE(at)], 6: [4, (b, at) => b.readUInt32LE(at)],
  7: [4, (b, at) => b.readFloatLE(at)], 9: [8, (b, at) => b.readDoubleLE(at)],
  12: [8, (b, at) => Number(b.readBigInt64LE(at))], 13: [8, (b, at) => Number(b.readBigUInt64LE(at))],
};
export const [MATRIX, COMPRESSED, UTF8, UTF16] = [14, 15, 16, 17];
export const [CELL, STRUCT, CHAR] = [1, 2, 4];
export const LOGICAL_FLAG = 0x02;
const COMPLEX_FLAG = 0x08;
const UNSUPPORTED: Record<number, string> = {
  3: 'an object', 5: 'a sparse array', 16: 'a function handle', 17: 'an opaque object',
};
const MAX_DEPTH = 32;
const MAX_INFLATED_BYTES = 2 ** 30;

/** All variables of a MATLAB 5 file. */
export function readMat(path: string): Record<string, MatValue> {
  const bytes = readFile(path);
  return decoding(path, () => parseMat(bytes));
}

function parseMat(bytes: Buffer): Record<string, MatValue> {
  if (bytes.toString('latin1', 0, 10) === 'MATLAB 7.3') {
    throw new Error("it is a MATLAB 7.3 (HDF5) file; save it again in MATLAB with save(…, '-v7')");
  }
  if (bytes.length < 128) throw new Error(`a MATLAB 5 file has a header of 128 bytes, got ${bytes.length}`);
  const order = bytes.toString('latin1', 126, 128);
  if (order === 'MI') throw new Error('big-endian MATLAB files are not supported');
  if (order !== 'IM' || bytes.readUInt16LE(124) !== 0x0100) throw new Error('it is not a MATLAB 5 file');

  const variables: Record<string, MatValue> = Object.create(null);
  const source = { bytes, at: 128 };
  while (source.at < bytes.length) {
    let element = nextElement(source);
    if (element.type === COMPRESSED) {
      const inflated = inflateSync(element.body, { maxOutputLength: MAX_INFLATED_BYTES });
      element = nextElement({ bytes: inflated, at: 0 });
    }
    if (element.type !== MATRIX) throw new Error(`a variable must be an array, got type ${element.type}`);
    const { name, value } = parseArray(element.body, 0);
    if (name in variables) throw new Error(`variable "${name}" occurs twice`);
    variables[name] = value;
  }
  return variables;
}

function nextElement(source: Source): Element {
  const { bytes, at } = source;
  if (at + 8 > bytes.length) throw new Error(`the file ends inside a tag at byte ${at}`);
  const [type, count] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)];
  const small = type >>> 16;
  if (small > 4) throw new Error(`a small element holds at most 4 bytes, got ${small}`);
  if (small > 0) {
    source.at = at + 8;
    return { type: type & 0xffff, body: bytes.subarray(at + 4, at + 4 + small) };
  }
  const end = at + 8 + count;
  if (end > bytes.length) {
    throw new Error(`an element of ${count} bytes at byte ${at} must end within ${bytes.length} bytes`);
  }
  // A compressed variable is not padded; the file's last element may lack its padding.
  source.at = type === COMPRESSED ? end : Math.min(bytes.length, at + 8 + Math.ceil(count / 8) * 8);
  return { type, body: bytes.subarray(at + 8, end) };
}

function parseArray(body: Buffer, depth: number): { name: string; value: MatValue } {
  if (depth > MAX_DEPTH) throw new Error(`arrays are nested more than ${MAX_DEPTH} deep`);
  // What MATLAB writes for an empty struct field or cell: a matrix element without content.
  if (body.length === 0) {
    return { name: '', value: { kind: 'numeric', class: 'double', dims: [0, 0], data: new Float64Array() } };
  }
  const source = { bytes: body, at: 0 };
  const flags = numbers(nextElement(source), 2)[0]!;
  const [classId, flagBits] = [flags & 0xff, (flags >>> 8) & 0xff];
  const dims = numbers(nextElement(source));
  if (dims.length < 2 || dims.some((size) => size < 0)) {
    throw new Error(`an array has at least two sizes ≥ 0, got [${dims.join(', ')}]`);
  }
  const name = nextElement(source).body.toString('latin1');
  const count = dims.reduce((a, b) => a * b, 1);

  const unsupported = flagBits & COMPLEX_FLAG ? 'a complex array' : UNSUPPORTED[classId];
  if (unsupported) throw new Error(`variable "${name}" is ${unsupported}, which is not supported`);
  if (classId === CELL) {
    expectRoom(source, count);
    const cells = Array.from({ length: count }, () => nested(source, depth));
    return { name, value: { kind: 'cell', dims, cells } };
  }
  if (classId === STRUCT) return { name, value: parseStruct(source, dims, count, depth) };
  if (classId === CHAR) return { name, value: { kind: 'char', dims, text: chars(nextElement(source)) } };

  const className = flagBits & LOGICAL_FLAG ? 'logical' : numericClass(classId);
  const values = convert(nextElement(source), CLASSES[className][1], count);
  return { name, value: { kind: 'numeric', class: className, dims, data: values } };
}

function parseStruct(source: Source, dims: number[], count: number, depth: number): MatStruct {
  const width = numbers(nextElement(source), 1)[0]!;
  const names = nextElement(source).body;
  if (width < 1 || names.length % width !== 0) {
    throw new Error(`field names of ${width} bytes do not fill ${names.length} bytes`);
  }
  const fields = Array.from({ length: names.length / width }, (_, i) =>
    names.toString('latin1', i * width, (i + 1) * width).replace(/\0.*$/s, ''));
  expectRoom(source, count * fields.length);
  if (fields.length === 0 && count > 1) throw new Error(`a struct array of ${count} elements has no fields`);
  const elements = Array.from({ length: count }, () =>
    Object.assign(Object.create(null) as Record<string, MatValue>,
      Object.fromEntries(fields.map((field) => [field, nested(source, depth)]))));
  return { kind: 'struct', dims, fields, elements };
}

/** Each nested array takes 8 bytes at least: what a header promises beyond that must not be allocated. */
function expectRoom(source: Source, arrays: number): void {
  const room = source.bytes.length - source.at;
  if (arrays * 8 > room) throw new Error(`${arrays} nested arrays do not fit ${room} bytes`);
}

function nested(source: Source, depth: number): MatValue {
  const element = nextElement(source);
  if (element.type !== MATRIX) throw new Error(`a cell or field must be an array, got type ${element.type}`);
  return parseArray(element.body, depth + 1).value;
}

function numericClass(id: number): MatClass {
  const found = (Object.keys(CLASSES) as MatClass[]).find((name) => CLASSES[name][0] === id);
  if (!found) throw new Error(`array class ${id} is unknown`);
  return found;
}

function numbers(element: Element, count?: number): number[] {
  const [size] = stored(element);
  return [...convert(element, Float64Array, count ?? element.body.length / size)];
}

function stored({ type }: Element): (typeof STORED)[number] {
  const found = STORED[type];
  if (!found) throw new Error(`element type ${type} holds no numbers`);
  return found;
}

function convert(element: Element, Target: Values, count: number): MatData {
  const [size, read] = stored(element);
  const { body } = element;
  if (body.length !== count * size) {
    throw new Error(`${count} values of ${size} bytes do not fill ${body.length} bytes`);
  }
  if (element.type === 2 && Target === Uint8Array) return new Uint8Array(body);
  const values = new Target(count);
  for (let i = 0; i < count; i++) values[i] = read(body, i * size);
  return values;
}

function chars(element: Element): string {
  if (element.type === UTF8) return element.body.toString('utf8');
  if (element.type === UTF16) return element.body.toString('utf16le');
  return String.fromCharCode(...numbers(element));
}
