/** Anything that the device, its driver or a kernel did wrong: what, where, and what to do about it. */
export class GpuError extends Error {
  override readonly name = 'GpuError';
}
