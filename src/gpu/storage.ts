import { GpuError } from './errors.ts';
import type { Range } from './memory.ts';

/**
 * Bytes that kernels read and write. `place` is where they lie, or null for what a program makes on its way,
 * whose place the planner chooses.
 */
export type Storage = {
  readonly label: string;
  /** Bytes with content. */
  readonly length: number;
  /** Bytes that are bound: whole vec4, so that a kernel may read the last one whole. */
  readonly bytes: number;
  place: Range | null;
  /** What this is a range of, from byte `at` on. */
  readonly within?: { readonly storage: Storage; readonly at: number };
};

/** How elements lie in memory. */
export type ElementType = 'f32' | 'f16' | 'u32';

export const ELEMENT_BYTES: Readonly<Record<ElementType, number>> = { f32: 4, f16: 2, u32: 4 };

/** Whatever a kernel can be given: a tensor fits. Without a type elements are as the kernel declares them. */
export type Bound = { readonly storage: Storage; readonly dtype?: ElementType };

export function createStorage(label: string, length: number, place: Range | null): Storage {
  return { label, length, bytes: boundBytes(length), place };
}

const boundBytes = (length: number): number => Math.max(16, Math.ceil(length / 16) * 16);

/** A range of a storage, wherever that will lie. `at` must be a multiple of what the device binds at. */
export function rangeOf(whole: Storage, label: string, at: number, length: number): Storage {
  const storage = rootOf(whole);
  const start = at + (whole.within?.at ?? 0);
  return {
    label, length, bytes: boundBytes(length), within: { storage, at: start },
    get place() {
      return storage.place && { buffer: storage.place.buffer, offset: storage.place.offset + start };
    },
  };
}

/** The storage that a range is of; any other is its own. */
export function rootOf(storage: Storage): Storage {
  return storage.within?.storage ?? storage;
}

/** @throws GpuError where so many bytes are more than a kernel of this device can be given at once */
export function expectBindable(label: string, bytes: number, limits: GPUSupportedLimits): void {
  const most = limits.maxStorageBufferBindingSize;
  if (bytes <= most) return;
  throw new GpuError(`${label}: needs ${bytes} bytes in one binding, and this device allows ${most}: `
    + 'use a smaller batch or image');
}
