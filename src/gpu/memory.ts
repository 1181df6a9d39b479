import { GpuError } from './errors.ts';

/** A range of a device buffer. */
export type Range = { readonly buffer: GPUBuffer; readonly offset: number };

/**
 * Device memory that outlives programs, and the count of all that is allocated.
 *
 * Buffers are freed by `free()`, never by the garbage collector, which does not feel their weight.
 */
export class Memory {
  readonly #device: GPUDevice;
  readonly #sizes = new Map<GPUBuffer, number>();
  #bytes = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Bytes allocated now, over all buffers. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Allocates a zeroed buffer for storage, copies and uniforms, of `bytes` rounded up to 16. */
  alloc(label: string, bytes: number, usage = defaultUsage()): GPUBuffer {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    const limit = this.#device.limits.maxBufferSize;
    if (size > limit) {
      throw new GpuError(`${label}: needs a buffer of ${size} bytes, and this device allows ${limit}: `
        + 'use a smaller batch or image');
    }
    const buffer = this.#device.createBuffer({ label, size, usage });
    this.#sizes.set(buffer, size);
    this.#bytes += size;
    return buffer;
  }

  free(buffer: GPUBuffer): void {
    const size = this.#sizes.get(buffer);
    if (size === undefined) throw new GpuError(`${buffer.label}: freed twice, or not allocated here`);
    this.#sizes.delete(buffer);
    this.#bytes -= size;
    buffer.destroy();
  }
}

function defaultUsage(): number {
  return GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
}
