import type { Gpu } from './device.ts';
import { firstSentence, GpuError } from './errors.ts';
import type { Range } from './memory.ts';
import { settled } from './wait.ts';

/** Copies host bytes (a multiple of 4) to a range of the device; takes effect before the next submit. */
export function upload(gpu: Gpu, to: Range, data: ArrayBufferView): void {
  gpu.device.queue.writeBuffer(to.buffer, to.offset, data as ArrayBufferView<ArrayBuffer>);
}

/** Copies the first `bytes` of a buffer to another, in order with what is submitted. */
export function copy(gpu: Gpu, from: GPUBuffer, to: GPUBuffer, bytes: number): void {
  const encoder = gpu.device.createCommandEncoder({ label: 'copy' });
  encoder.copyBufferToBuffer(from, 0, to, 0, bytes);
  gpu.device.queue.submit([encoder.finish()]);
}

/**
 * Copies ranges of the device back, in one submit and one wait.
 *
 * @throws GpuError where the device reported an error up to now, so that nothing wrong is read
 */
export async function download(
  gpu: Gpu, ranges: readonly (Range & { bytes: number })[],
): Promise<ArrayBuffer[]> {
  gpu.check();
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
    await mapped(gpu, staging);
    const bytes = staging.getMappedRange();
    at = 0;
    return ranges.map(({ bytes: length }) => {
      const copy = bytes.slice(at, at + length);
      at += align4(length);
      return copy;
    });
  } finally {
    gpu.memory.free(staging);
  }
}

const readback = { ms: 0 };

async function mapped(gpu: Gpu, staging: GPUBuffer): Promise<void> {
  const failure = await settled(staging.mapAsync(GPUMapMode.READ), readback)
    .then(() => null, (error: Error) => error);
  gpu.check();                                   // says why, where the device knows
  if (failure) throw new GpuError(`readback: ${firstSentence(failure.message)}`);
}

const align4 = (bytes: number): number => Math.ceil(bytes / 4) * 4;
