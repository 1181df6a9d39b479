import type { Gpu } from './device.ts';
import type { Range } from './memory.ts';
import { settled } from './wait.ts';

/** Copies host bytes (a length of a multiple of 4) to a range of the device; takes effect before the next submit. */
export function upload(gpu: Gpu, to: Range, data: ArrayBufferView): void {
  gpu.device.queue.writeBuffer(to.buffer, to.offset, data as ArrayBufferView<ArrayBuffer>);
}

/** Copies ranges of the device back, in one submit and one wait. */
export async function download(gpu: Gpu, ranges: readonly (Range & { bytes: number })[]): Promise<ArrayBuffer[]> {
  const total = ranges.reduce((sum, { bytes }) => sum + align4(bytes), 0);
  if (total === 0) return ranges.map(() => new ArrayBuffer(0));
  const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const staging = gpu.memory.alloc('readback', total, usage);
  try {
    const encoder = gpu.device.createCommandEncoder({ label: 'readback' });
    let at = 0;
    for (const { buffer, offset, bytes } of ranges) {
      encoder.copyBufferToBuffer(buffer, offset, staging, at, align4(bytes));
      at += align4(bytes);
    }
    gpu.device.queue.submit([encoder.finish()]);
    await settled(staging.mapAsync(GPUMapMode.READ));
    gpu.check();
    const mapped = staging.getMappedRange();
    at = 0;
    return ranges.map(({ bytes }) => {
      const copy = mapped.slice(at, at + bytes);
      at += align4(bytes);
      return copy;
    });
  } finally {
    gpu.memory.free(staging);
  }
}

const align4 = (bytes: number): number => Math.ceil(bytes / 4) * 4;
