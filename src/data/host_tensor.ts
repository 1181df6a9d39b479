/** Tensors in host memory, as files hold them; no GPU, no arithmetic. */

/** Names of safetensors. F16 and BF16 keep their bits in a Uint16Array, BOOL is a Uint8Array of 0 and 1. */
export type Dtype = keyof typeof ARRAYS;

export type TypedArray =
  | Float64Array | Float32Array | BigInt64Array | Int32Array | Uint32Array
  | Int16Array | Uint16Array | Int8Array | Uint8Array;

/** `data` is row-major and holds exactly the product of `shape` elements. */
export type HostTensor = {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly data: TypedArray;
};

const ARRAYS = {
  F64: Float64Array, F32: Float32Array, F16: Uint16Array, BF16: Uint16Array,
  I64: BigInt64Array, I32: Int32Array, I16: Int16Array, I8: Int8Array,
  U32: Uint32Array, U16: Uint16Array, U8: Uint8Array, BOOL: Uint8Array,
} as const;

export function isDtype(name: unknown): name is Dtype {
  return typeof name === 'string' && Object.hasOwn(ARRAYS, name);
}

export function itemBytes(dtype: Dtype): number {
  return ARRAYS[dtype].BYTES_PER_ELEMENT;
}

/** Product of `shape`, or NaN where it is no list of whole numbers or too large to count exactly. */
export function elementCount(shape: readonly unknown[]): number {
  let count = 1;
  for (const side of shape) {
    if (typeof side !== 'number' || !Number.isSafeInteger(side) || side < 0) return NaN;
    count *= side;
  }
  return Number.isSafeInteger(count) ? count : NaN;
}

/** The bytes as elements of `dtype`: a view where they are aligned, a copy where they are not. */
export function viewBytes(dtype: Dtype, bytes: Uint8Array): TypedArray {
  const size = itemBytes(dtype);
  // Uint8Array's own slice copies; Buffer overrides it with one that does not.
  const own = bytes.byteOffset % size === 0 ? bytes : Uint8Array.prototype.slice.call(bytes);
  return new ARRAYS[dtype](own.buffer as ArrayBuffer, own.byteOffset, own.byteLength / size);
}

/** An array of `count` zeros of `dtype`. */
export function zeros(dtype: Dtype, count: number): TypedArray {
  return new ARRAYS[dtype](count);
}

/** The bytes of `tensor`'s elements, not copied. */
export function bytesOf({ data }: HostTensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

export function isHostTensor(value: unknown): value is HostTensor {
  return typeof value === 'object' && value !== null && 'dtype' in value && 'shape' in value &&
    'data' in value && ArrayBuffer.isView(value.data);
}

/** Throws unless `data` is what `dtype` and `shape` promise. */
export function checkHostTensor(name: string, { dtype, shape, data }: HostTensor): void {
  const count = elementCount(shape);
  if (isDtype(dtype) && data instanceof ARRAYS[dtype] && data.length === count) return;
  throw new Error(`Tensor "${name}": [${shape}] of ${dtype} must hold ${count} elements of ` +
    `${ARRAYS[dtype]?.name}, got ${data.length} of ${data.constructor.name}`);
}

/** The elements as f32; F32 data is returned as it is, without a copy. */
export function toFloat32({ dtype, data }: HostTensor): Float32Array {
  if (data instanceof Float32Array) return data;
  if (data instanceof BigInt64Array) return Float32Array.from(data, Number);
  if (dtype === 'F16') return Float32Array.from(data as Uint16Array, halfToNumber);
  if (dtype === 'BF16') { // the upper half of an f32
    return new Float32Array(Uint32Array.from(data as Uint16Array, (bits) => bits << 16).buffer);
  }
  return Float32Array.from(data);
}

/** Rows × columns to columns × rows. */
export function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) turned[c * rows + r] = values[r * columns + c]!;
  }
  return turned;
}

/** IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
