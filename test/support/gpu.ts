import { afterAll, beforeAll } from 'vitest';
import { openGpu, type Gpu } from '../../src/gpu/device.ts';

let opened: Gpu | null = null;

/** Opens one device for the file's tests and closes it after them; call at the top of a test file. */
export function useGpu(): () => Gpu {
  beforeAll(async () => { opened = await openGpu({ unchecked: true }); });
  afterAll(() => {
    opened?.close();
    opened = null;
  });
  return () => opened!;
}
