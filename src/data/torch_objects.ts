import { elementCount, itemBytes, zeros } from './host_tensor.ts';
import type { Dtype, HostTensor, TypedArray } from './host_tensor.ts';
import { Inert } from './pickle_machine.ts';
import type { Hooks } from './pickle_machine.ts';

// What PyTorch's pickles say: a storage is a flat array outside the pickle under a persistent id, a tensor is
// _rebuild_tensor_v2(storage, offset, shape, strides, …), so several tensors may be views of one storage.

export type Storage = { readonly key: string; readonly dtype: Dtype; readonly length: number };
/** The elements of `storage`; called for every tensor, so it has to keep what it converts. */
export type LoadStorage = (storage: Storage) => TypedArray;
type Charge = (bytes: number) => void;
type Loaded = { readonly dtype: Dtype; readonly data: TypedArray };

export const STORAGE_DTYPES: ReadonlyMap<string, Dtype> = new Map<string, Dtype>([
  ['torch.DoubleStorage', 'F64'], ['torch.FloatStorage', 'F32'], ['torch.HalfStorage', 'F16'],
  ['torch.BFloat16Storage', 'BF16'], ['torch.LongStorage', 'I64'], ['torch.IntStorage', 'I32'],
  ['torch.ShortStorage', 'I16'], ['torch.CharStorage', 'I8'], ['torch.ByteStorage', 'U8'],
  ['torch.BoolStorage', 'BOOL'],
]);

const MAX_RANK = 64;
/** What views may take beyond the file's own size, so that a stride of 0 cannot ask for a terabyte. */
const SPARE_BYTES = 64 * 2 ** 20;

/** A persistent id of torch.save: ('storage', type, key, location, length[, view]). */
export function parseStorageId(id: unknown): Storage & { view: unknown } {
  const [kind, type, key, , length, view] = Array.isArray(id) ? id as unknown[] : [];
  if (kind !== 'storage' || !(type instanceof Inert) || typeof key !== 'string' || !isCount(length)) {
    throw new Error('the pickle refers to a storage by what is no storage id');
  }
  const dtype = STORAGE_DTYPES.get(type.global);
  if (!dtype) throw new Error(`storage "${key}": type "${type.global}" is not supported`);
  return { key, dtype, length, view };
}

/** Builds tensors and plain containers from a pickle of a file of `fileBytes`, all else stays inert. */
export function torchHooks(load: LoadStorage, fileBytes: number): Hooks {
  let budget = 2 * fileBytes + SPARE_BYTES;
  const charge: Charge = (bytes) => {
    budget -= bytes;
    if (!(budget >= 0)) throw new Error('its views unfold to far more than the file holds, which is refused');
  };
  const call = (global: string, args: readonly unknown[]): unknown => {
    const [first, second, third, fourth] = args;
    switch (global) {
      case 'torch._utils._rebuild_tensor':
      case 'torch._utils._rebuild_tensor_v2':
        return viewOf(first as Loaded, second, third, fourth, charge);
      case 'torch._utils._rebuild_parameter':
      case 'torch._utils._rebuild_parameter_with_state':
        return first;
      case 'torch._tensor._rebuild_from_type_v2': // (function, class, its arguments, attributes)
        return first instanceof Inert && Array.isArray(third) ? call(first.global, third) : undefined;
      case 'torch.Size':
        return first;
      case 'collections.OrderedDict':
        return new Map(listOf(first, charge).map((pair) => listOf(pair, charge) as [unknown, unknown]));
      case 'builtins.set':
      case '__builtin__.set':
        return new Set(listOf(first, charge));
      case '_codecs.encode': // how protocol 2 spells bytes
        return typeof first === 'string' && second === 'latin1' ? Buffer.from(first, 'latin1') : undefined;
      default:
        return undefined;
    }
  };
  const persistent = (id: unknown): Loaded => {
    const storage = parseStorageId(id);
    const data = load(storage);
    if (storage.view === undefined || storage.view === null) return { dtype: storage.dtype, data };
    // Before PyTorch 0.4 a storage could be a part of another: (key, offset, length).
    const [, offset, length] = listOf(storage.view, charge);
    if (!isCount(offset) || !isCount(length) || offset + length > data.length) {
      throw new Error(`storage "${storage.key}": a part must lie in its ${data.length} elements`);
    }
    return { dtype: storage.dtype, data: data.subarray(offset, offset + length) };
  };
  return { call, persistent };
}

function listOf(value: unknown, charge: Charge): unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new Error('the pickle builds a container from what is no list');
  charge(16 * value.length);
  return value;
}

function viewOf(
  storage: Loaded, offset: unknown, shape: unknown, strides: unknown, charge: Charge,
): HostTensor {
  if (!(storage instanceof Object) || !ArrayBuffer.isView(storage.data)) {
    throw new Error('the pickle builds a tensor from what is no storage');
  }
  if (!Array.isArray(shape) || !Array.isArray(strides) || shape.length !== strides.length ||
    shape.length > MAX_RANK || !isCount(offset) || !strides.every(isCount)) {
    throw new Error('the pickle builds a tensor whose offset, shape and strides are no whole numbers');
  }
  const { dtype, data } = storage;
  const count = elementCount(shape);
  if (Number.isNaN(count)) throw new Error('the pickle builds a tensor whose shape is no list of sizes');
  if (count === 0) return { dtype, shape, data: zeros(dtype, 0) };
  const last = shape.reduce((at: number, side: number, axis) => at + (side - 1) * strides[axis]!, offset);
  if (!(last < data.length)) {
    throw new Error(`a tensor [${shape}] must lie in the ${data.length} elements of its storage, ` +
      `got offset ${offset} and strides [${strides}]`);
  }
  if (isContiguous(shape, strides)) return { dtype, shape, data: data.subarray(offset, offset + count) };
  charge(count * itemBytes(dtype));
  return { dtype, shape, data: gather({ dtype, data }, offset, shape, strides, count) };
}

/** Row-major; a side of 1 is never stepped along, so its stride may be anything. */
function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

/** Copies a strided view into row-major order, counting the index up like an odometer. */
function gather(
  { dtype, data }: Loaded, offset: number,
  shape: readonly number[], strides: readonly number[], count: number,
): TypedArray {
  const out = zeros(dtype, count);
  const index = shape.map(() => 0);
  let from = offset;
  for (let to = 0; to < count; to++) {
    out[to] = data[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      from -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
