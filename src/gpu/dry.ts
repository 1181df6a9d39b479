import type { Gpu } from './device.ts';
import { Memory } from './memory.ts';

/** Limits that a device is to be thought of as having. */
export type Limits = Partial<Record<'maxStorageBufferBindingSize' | 'maxBufferSize', number>>;

/** `gpu` as if it had other limits, which what is traced on it keeps to. */
export function withLimits(gpu: Gpu, limits: Limits): Gpu {
  const all = new Proxy(gpu.limits, {
    get: (own, name) => limits[name as keyof Limits] ?? Reflect.get(own, name, own) as unknown,
  });
  return { ...gpu, limits: all };
}

/**
 * `gpu` to be planned on: what is allocated on it is only counted, what is written is forgotten, and nothing
 * can run.
 */
export function dryRun(gpu: Gpu): Gpu {
  const device = {
    limits: gpu.limits,
    createBuffer: ({ label, size }: GPUBufferDescriptor) => ({ label, size, destroy: () => undefined }),
    queue: { writeBuffer: () => undefined },
  } as unknown as GPUDevice;
  return { ...gpu, device, memory: new Memory(device), guard: null };
}
