import type { Gpu } from '../../src/gpu/device.ts';
import { settled } from '../../src/gpu/wait.ts';

/** The device's own clock at the start and the end of one pass. */
export type Clock = {
  readonly writes: { readonly timestampWrites: GPUComputePassTimestampWrites };
  resolve(encoder: GPUCommandEncoder): void;
  /** Waits for the pass. */
  readMs(): Promise<number>;
};

export function createClock({ device }: Gpu): Clock {
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 });
  const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const resolved = device.createBuffer({ size: 16, usage: QUERY_RESOLVE | COPY_SRC });
  const staging = device.createBuffer({ size: 16, usage: MAP_READ | COPY_DST });
  return {
    writes: { timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 } },
    resolve(encoder) {
      encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, staging, 0, 16);
    },
    async readMs() {
      await settled(staging.mapAsync(GPUMapMode.READ));
      const [start, end] = new BigUint64Array(staging.getMappedRange());
      const ms = Number(end! - start!) / 1e6;
      staging.unmap();
      return ms;
    },
  };
}
