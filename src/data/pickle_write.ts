import { bytesOf, checkHostTensor, isHostTensor } from './host_tensor.ts';
import type { Dtype, HostTensor } from './host_tensor.ts';
import { STORAGE_DTYPES } from './torch_objects.ts';

// Pickle protocol 2, in the opcodes that torch.load(weights_only=True) accepts. Nothing is memoised:
// repeating a name costs a few bytes, and a value that contains itself is refused by its depth.

/** A whole number becomes an int, any other a float; a Map becomes an OrderedDict, a record a dict. */
export type PthValue =
  | null | boolean | number | bigint | string | HostTensor | readonly PthValue[]
  | ReadonlyMap<string | number, PthValue> | { readonly [key: string]: PthValue };

const STORAGE_NAMES = new Map<Dtype, string>([...STORAGE_DTYPES].map(([name, dtype]) => [dtype, name]));
const ORDERED_DICT = 'ccollections\nOrderedDict\n)R';
/** Deeper than any checkpoint, and shallow enough for every reader's recursion. */
const MAX_DEPTH = 100;

/** The pickle of `value`, and the bytes of its tensors, each of which refers to its storage by the index. */
export function pickle(value: PthValue): { bytes: Uint8Array; storages: Uint8Array[] } {
  const pickler = new Pickler();
  pickler.put('\x80\x02');
  pickler.value(value, 'value', 0);
  pickler.put('.');
  return { bytes: Buffer.concat(pickler.parts), storages: pickler.storages };
}

class Pickler {
  readonly parts: Uint8Array[] = [];
  readonly storages: Uint8Array[] = [];

  put(...items: (string | Uint8Array)[]): void {
    for (const item of items) this.parts.push(typeof item === 'string' ? Buffer.from(item, 'latin1') : item);
  }

  value(value: PthValue, name: string, depth: number): void {
    if (depth > MAX_DEPTH) throw new Error(`${name}: must not be nested deeper than ${MAX_DEPTH}`);
    if (value === null) this.put('N');
    else if (typeof value === 'boolean') this.put(value ? '\x88' : '\x89');
    else if (typeof value === 'number' || typeof value === 'bigint') this.put(numberBytes(value));
    else if (typeof value === 'string') this.put(textBytes(value));
    else if (isHostTensor(value)) this.tensor(value, name);
    else if (Array.isArray(value)) this.list(value as readonly PthValue[], name, depth);
    else if (value instanceof Map) this.items(ORDERED_DICT, value as Map<string, PthValue>, name, depth);
    else if (isPlain(value)) this.items('}', Object.entries(value), name, depth);
    else throw new Error(`${name}: must be plain data for a .pth file, got ${kindOf(value)}`);
  }

  list(values: readonly PthValue[], name: string, depth: number): void {
    this.put('](');
    values.forEach((each, i) => this.value(each, `${name}[${i}]`, depth + 1));
    this.put('e');
  }

  items(empty: string, items: Iterable<readonly [string, PthValue]>, name: string, depth: number): void {
    this.put(empty, '(');
    for (const [key, each] of items) {
      this.value(key, `a key of ${name}`, depth + 1);
      this.value(each, `${name}.${key}`, depth + 1);
    }
    this.put('u');
  }

  /** _rebuild_tensor_v2(storage by its id, offset, shape, strides, requires_grad, hooks) */
  tensor(tensor: HostTensor, name: string): void {
    checkHostTensor(name, tensor);
    const storage = STORAGE_NAMES.get(tensor.dtype);
    if (!storage) throw new Error(`${name}: a .pth file holds no ${tensor.dtype}, convert it to I32 or I64`);
    this.put('ctorch._utils\n_rebuild_tensor_v2\n(');
    this.put('(', textBytes('storage'), `c${storage.replace('.', '\n')}\n`);
    this.put(textBytes(`${this.storages.length}`), textBytes('cpu'), numberBytes(tensor.data.length), 'tQ');
    this.put(numberBytes(0), '(', ...tensor.shape.map(numberBytes), 't');
    this.put('(', ...rowMajorStrides(tensor.shape).map(numberBytes), 't');
    this.put('\x89', ORDERED_DICT, 'tR');
    this.storages.push(bytesOf(tensor));
  }
}

function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = strides[axis + 1]! * Math.max(shape[axis + 1]!, 1);
  }
  return strides;
}

function textBytes(text: string): Uint8Array {
  const utf8 = Buffer.from(text);
  const head = Buffer.from('X\0\0\0\0', 'latin1');
  head.writeUInt32LE(utf8.length, 1);
  return Buffer.concat([head, utf8]);
}

/** BININT where it fits, LONG1 for a larger whole number, BINFLOAT (big-endian) for the rest and for −0. */
function numberBytes(value: number | bigint): Uint8Array {
  if (typeof value === 'number' && (!Number.isSafeInteger(value) || Object.is(value, -0))) {
    const bytes = Buffer.from('G\0\0\0\0\0\0\0\0', 'latin1');
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (value >= -(2 ** 31) && value < 2 ** 31) {
    const bytes = Buffer.from('J\0\0\0\0', 'latin1');
    bytes.writeInt32LE(Number(value), 1);
    return bytes;
  }
  return longBytes(BigInt(value));
}

function longBytes(value: bigint): Uint8Array {
  const digits: number[] = [];
  while (BigInt.asIntN(8 * digits.length, value) !== value) {
    digits.push(Number((value >> BigInt(8 * digits.length)) & 255n));
  }
  if (digits.length > 64) throw new Error(`a whole number of ${digits.length} bytes is refused`);
  return Uint8Array.of(0x8a, digits.length, ...digits);
}

/** Dates, typed arrays and class instances would lose what they are. */
function isPlain(value: unknown): value is Record<string, PthValue> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function kindOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? value.constructor.name : typeof value;
}
