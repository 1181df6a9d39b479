import type { Gpu } from '../gpu/device.ts';
import { transient } from '../gpu/program.ts';
import {
  createStorage, ELEMENT_BYTES, expectBindable, type ElementType, type Storage,
} from '../gpu/storage.ts';
import type { Range } from '../gpu/memory.ts';
import { upload } from '../gpu/transfer.ts';
import { size, type Shape } from './shape.ts';

/** f16 is how a tensor is stored: ops load it as f32, compute in that, and round what they store. */
export type Dtype = ElementType;

/** A shape over bytes of the device, row-major. Ops make new ones; none changes. */
export type Tensor = {
  readonly shape: Shape;
  readonly dtype: Dtype;
  readonly storage: Storage;
  readonly requiresGrad: boolean;
  /** Bytes of the elements, without padding. */
  readonly bytes: number;
};

export function makeTensor(
  shape: Shape, storage: Storage, requiresGrad = false, dtype: Dtype = 'f32',
): Tensor {
  return { shape, dtype, storage, requiresGrad, bytes: bytesOf(shape, dtype) };
}

/** A tensor of the program being traced, without content. */
export function empty(shape: Shape, label = 'tensor', dtype: Dtype = 'f32'): Tensor {
  const storage = transient(`${label} [${shape.join(', ')}]`, bytesOf(shape, dtype));
  return makeTensor(shape, storage, false, dtype);
}

/** The same bytes under another shape of as many elements, outside of the tape; `reshape` is on it. */
export function viewAs(x: Tensor, shape: Shape, requiresGrad = x.requiresGrad): Tensor {
  if (size(shape) !== size(x.shape)) {
    throw new Error(`reshape: [${shape.join(', ')}] must hold ${size(x.shape)} elements, `
      + `as [${x.shape.join(', ')}] does`);
  }
  return makeTensor(shape, x.storage, requiresGrad, x.dtype);
}

/** A tensor that outlives programs, in memory of its own, zero where no data is given. Freed by `release`. */
export function lasting(
  gpu: Gpu, label: string, shape: Shape, data?: ArrayLike<number>, dtype: Dtype = 'f32',
): Tensor {
  const bytes = bytesOf(shape, dtype);
  expectBindable(`${label} [${shape.join(', ')}]`, bytes, gpu.limits);
  const buffer = gpu.memory.alloc(label, bytes);
  const tensor = makeTensor(shape, createStorage(label, bytes, { buffer, offset: 0 }), false, dtype);
  if (data) write(gpu, tensor, data);
  return tensor;
}

/** A tensor over a given range of the device, which someone else owns. */
export function placed(
  label: string, shape: Shape, place: Range, requiresGrad: boolean, dtype: Dtype = 'f32',
): Tensor {
  return makeTensor(shape, createStorage(label, bytesOf(shape, dtype), place), requiresGrad, dtype);
}

/** Copies host values into a lasting tensor. */
export function write(gpu: Gpu, tensor: Tensor, data: ArrayLike<number>): void {
  const { place, label } = tensor.storage;
  if (!place) throw new Error(`write: "${label}" must be a lasting tensor`);
  if (data.length !== size(tensor.shape)) {
    throw new Error(`write: "${label}" must get ${size(tensor.shape)} values for `
      + `[${tensor.shape.join(', ')}], got ${data.length}`);
  }
  upload(gpu, place, encoded(data, tensor.dtype));
}

/** Values as they lie on the device, in whole words. */
export function encoded(data: ArrayLike<number>, dtype: Dtype): ArrayBufferView {
  if (dtype === 'u32') return data instanceof Uint32Array ? data : Uint32Array.from(data);
  if (dtype === 'f32') return data instanceof Float32Array ? data : Float32Array.from(data);
  const halves = new Float16Array(2 * Math.ceil(data.length / 2));
  halves.set(data);
  return new Uint16Array(halves.buffer);  // Dawn for Node crashes on a Float16Array, which it does not know
}

/** What was read of a tensor, as numbers: u32 as the f32 of the same bits. */
export function decoded(bytes: ArrayBuffer, { dtype }: Pick<Tensor, 'dtype'>): Float32Array {
  return dtype === 'f16' ? Float32Array.from(new Float16Array(bytes)) : new Float32Array(bytes);
}

const bytesOf = (shape: Shape, dtype: Dtype): number => ELEMENT_BYTES[dtype] * size(shape);

/** Frees a lasting tensor's memory. */
export function release(gpu: Gpu, tensor: Tensor): void {
  if (!tensor.storage.place) throw new Error(`release: "${tensor.storage.label}" must be a lasting tensor`);
  gpu.memory.free(tensor.storage.place.buffer);
}

/** The same tensor, marked as one that the loss is differentiated by. */
export function trainable(tensor: Tensor): Tensor {
  return { ...tensor, requiresGrad: true };
}

const constants = new WeakMap<Gpu, Map<string, Tensor>>();

/** A small table of u32 on the device, made once for each content. */
export function constantTable(gpu: Gpu, values: readonly number[]): Tensor {
  let known = constants.get(gpu);
  if (!known) constants.set(gpu, known = new Map());
  const key = values.join();
  let table = known.get(key);
  if (!table) {
    table = lasting(gpu, `table ${key.slice(0, 40)}`, [values.length], values, 'u32');
    known.set(key, table);
  }
  return table;
}
