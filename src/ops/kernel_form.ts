import type { Gpu } from '../gpu/device.ts';

/**
 * How a kernel family is written for a kind of device: `plain` is the readable reference that runs anywhere,
 * `panel` suits SIMD on a CPU (lavapipe), `tile` suits GPUs with workgroup memory.
 */
export type KernelForm = 'plain' | 'panel' | 'tile';

let forced: KernelForm | null = null;

/** The form that suits a device. */
export function kernelForm({ deviceClass, features, subgroupSize }: Gpu): KernelForm {
  if (forced) return forced;
  if (deviceClass === 'gpu') return 'tile';
  return features.has('subgroups') && subgroupSize === 8 ? 'panel' : 'plain';
}

/** Whether `withKernelForm` decides, and not what the work is worth. */
export function isForced(): boolean {
  return forced !== null;
}

/** Traces `body` with one form whatever the device is: for benches, and tests that compare the forms. */
export function withKernelForm<T>(form: KernelForm, body: () => T): T {
  const outer = forced;
  forced = form;
  try {
    return body();
  } finally {
    forced = outer;
  }
}
