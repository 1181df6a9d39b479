import { writeFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import { CELL, CHAR, CLASSES, COMPRESSED, LOGICAL_FLAG, MATRIX, STRUCT, UTF16 } from './mat.ts';
import type { MatNumeric, MatValue } from './mat.ts';

const [INT8, INT32, UINT32] = [1, 5, 6];
/** The element type that holds an array's bytes. */
const STORAGE = new Map<unknown, number>([
  [Int8Array, 1], [Uint8Array, 2], [Int16Array, 3], [Uint16Array, 4],
  [Int32Array, 5], [Uint32Array, 6], [Float32Array, 7], [Float64Array, 9],
]);

/** Writes a MATLAB 5 file that MATLAB and scipy read; `compress` as MATLAB's -v7 does. */
export function writeMat(
  path: string, variables: Readonly<Record<string, MatValue>>, { compress = true } = {},
): void {
  const header = Buffer.alloc(128, ' ');
  header.write('MATLAB 5.0 MAT-file, written by mtlora', 'latin1');
  header.fill(0, 116, 124);
  header.writeUInt16LE(0x0100, 124);
  header.write('IM', 126, 'latin1');
  const elements = Object.entries(variables).map(([name, value]) => {
    const plain = arrayElement(name, value);
    if (!compress) return plain;
    const deflated = deflateSync(plain);
    return Buffer.concat([uint32s(COMPRESSED, deflated.length), deflated]);
  });
  writeFileSync(path, Buffer.concat([header, ...elements]));
}

function arrayElement(name: string, value: MatValue): Buffer {
  const count = value.dims.reduce((a, b) => a * b, 1);
  const [classId, flags, got, content] = encodeContent(value);
  if (got !== count) {
    throw new Error(`writeMat: "${name}" [${value.dims.join(', ')}] must have ${count} elements, got ${got}`);
  }
  return element(MATRIX, Buffer.concat([
    element(UINT32, uint32s(classId | (flags << 8), 0)),
    element(INT32, uint32s(...value.dims)),
    element(INT8, Buffer.from(name, 'latin1')),
    ...content,
  ]));
}

function encodeContent(value: MatValue): [classId: number, flags: number, count: number, content: Buffer[]] {
  switch (value.kind) {
    case 'char':
      return [CHAR, 0, value.text.length, [element(UTF16, Buffer.from(value.text, 'utf16le'))]];
    case 'cell':
      return [CELL, 0, value.cells.length, value.cells.map((cell) => arrayElement('', cell))];
    case 'struct': {
      const width = Math.max(0, ...value.fields.map((field) => field.length)) + 1;
      const names = Buffer.from(value.fields.map((field) => field.padEnd(width, '\0')).join(''), 'latin1');
      const fields = value.elements.flatMap((item) =>
        value.fields.map((field) => arrayElement('', item[field]!)));
      const head = [element(INT32, uint32s(width)), element(INT8, names)];
      return [STRUCT, 0, value.elements.length, [...head, ...fields]];
    }
    case 'numeric': {
      const { data } = value;
      const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      const flags = value.class === 'logical' ? LOGICAL_FLAG : 0;
      return [CLASSES[value.class][0], flags, data.length, [element(storageOf(value), bytes)]];
    }
  }
}

function storageOf({ class: name, data }: MatNumeric): number {
  const Target = CLASSES[name][1];
  if (!(data instanceof Target)) {
    throw new Error(`writeMat: class ${name} is held by ${Target.name}, got ${data.constructor.name}`);
  }
  return STORAGE.get(Target)!;
}

/** Tag, bytes, padding. MATLAB wants the width of field names as a small element and allows it anywhere. */
function element(type: number, bytes: Buffer): Buffer {
  if (bytes.length > 0 && bytes.length <= 4) {
    return Buffer.concat([uint32s(type | (bytes.length << 16)), bytes, Buffer.alloc(4 - bytes.length)]);
  }
  return Buffer.concat([uint32s(type, bytes.length), bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
}

function uint32s(...values: number[]): Buffer {
  return Buffer.from(Uint32Array.from(values).buffer);
}
