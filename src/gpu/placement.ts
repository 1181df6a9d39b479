import type { Gpu } from './device.ts';
import { GpuError } from './errors.ts';
import type { Range } from './memory.ts';
import type { Plan } from './plan.ts';
import type { Dispatch, Use } from './program.ts';
import type { Slot } from './slots.ts';
import type { Storage } from './storage.ts';

/** A program's buffers: one a slot of its plan, and the uniforms. */
export type Placed = {
  readonly live: GPUBuffer;
  readonly uniforms: GPUBuffer;
  /** Of the slots, borrowed ones among them. */
  readonly slots: readonly GPUBuffer[];
  /** Those that are its own. */
  readonly buffers: readonly GPUBuffer[];
  readonly places: ReadonlyMap<Storage, Range>;
};

export const LIVE_BYTES = 32;

/** All kernels' parameters in one block of bytes, and where each dispatch's lie; equal ones share a place. */
export function packUniforms(
  dispatches: readonly Pick<Dispatch, 'params'>[], alignment: number,
): { bytes: Uint8Array<ArrayBuffer>; offsets: number[] } {
  const known = new Map<string, number>();
  const chunks: { at: number; words: Uint32Array }[] = [];
  let end = 0;
  const offsets = dispatches.map(({ params: words }) => {
    if (!words) return 0;
    const key = words.join();
    const shared = known.get(key);
    if (shared !== undefined) return shared;
    const at = end;
    known.set(key, at);
    chunks.push({ at, words });
    end += Math.ceil(words.byteLength / alignment) * alignment;
    return at;
  });
  const bytes = new Uint8Array(end);
  for (const { at, words } of chunks) bytes.set(new Uint8Array(words.buffer), at);
  return { bytes, offsets };
}

/** Which slots find room in what is lent: the largest first, each in the smallest that holds it. */
export function borrow<T extends { readonly size: number }>(
  slots: readonly Slot[], lent: readonly T[],
): Map<Slot, T> {
  const free = lent.toSorted((a, b) => a.size - b.size);
  const found = new Map<Slot, T>();
  for (const slot of slots.toSorted((a, b) => b.bytes - a.bytes)) {
    const at = free.findIndex(({ size }) => size >= slot.bytes);
    if (at >= 0) found.set(slot, free.splice(at, 1)[0]!);
  }
  return found;
}

/** Allocates a program's buffers, but for slots that find room in what is `lent`; all of them or none. */
export function allocate(
  gpu: Gpu, label: string, plan: Plan, uniformBytes: number, lent: readonly GPUBuffer[] = [],
): Placed {
  const buffers: GPUBuffer[] = [];
  const alloc = (name: string, bytes: number, usage?: number): GPUBuffer => {
    const buffer = gpu.memory.alloc(`${label} ${name}`, bytes, usage);
    buffers.push(buffer);
    return buffer;
  };
  try {
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    const live = alloc('live', LIVE_BYTES, usage);
    const uniforms = alloc('params', uniformBytes, usage);
    const places = new Map<Storage, Range>();
    const borrowed = borrow(plan.slots, lent);
    const slots = plan.slots.map((slot, i) => {
      const buffer = borrowed.get(slot) ?? alloc(`slot ${i}`, slot.bytes);
      for (const { storage, at } of slot.tenants) places.set(storage, { buffer, offset: at });
      return buffer;
    });
    return { live, uniforms, slots, buffers, places };
  } catch (error) {
    for (const buffer of buffers) gpu.memory.free(buffer);
    throw error;
  }
}

/** What a dispatch's binding `name` is bound to. */
export function resourceOf(
  { uses, params }: Dispatch, name: string, placed: Placed, uniformAt: number,
): GPUBufferBinding {
  if (name === 'live') return { buffer: placed.live };
  if (name === 'params') return { buffer: placed.uniforms, offset: uniformAt, size: params!.byteLength };
  const { storage } = uses.find((use) => use.name === name)!;
  return { ...placeIn(placed, storage)!, size: storage.bytes };
}

/**
 * Refuses what WebGPU refuses only when the whole program is encoded, without saying where: a buffer that one
 * launch both reads and writes, even in two different ranges.
 */
export function expectApart({ label, uses }: Dispatch, placed: Placed): void {
  for (const written of uses) {
    if (written.access !== 'read_write') continue;
    const at = placeIn(placed, written.storage)!;
    for (const other of uses) {
      if (other === written || placeIn(placed, other.storage)!.buffer !== at.buffer) continue;
      if (other.access === 'read' || overlap(written, other, placed)) {
        throw new GpuError(`${label}: "${other.name}" (${other.storage.label}) must not lie in the buffer of `
          + `"${written.name}" (${written.storage.label}), which the launch writes`);
      }
    }
  }
}

function overlap(a: Use, b: Use, placed: Placed): boolean {
  const [startA, startB] = [placeIn(placed, a.storage)!.offset, placeIn(placed, b.storage)!.offset];
  return startA < startB + b.storage.bytes && startB < startA + a.storage.bytes;
}

/** Where a storage of the program lies. */
export function placeIn({ places }: Placed, storage: Storage): Range | undefined {
  if (storage.place || !storage.within) return storage.place ?? places.get(storage);
  const whole = places.get(storage.within.storage);
  return whole && { buffer: whole.buffer, offset: whole.offset + storage.within.at };
}
