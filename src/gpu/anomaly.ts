import type { Gpu } from './device.ts';
import { compile, encode, type Executable, type Live } from './executable.ts';
import { dispatch } from './program.ts';
import { createStorage, ELEMENT_BYTES, rootOf, type Storage } from './storage.ts';
import { floatsOf } from './storage_type.ts';
import { download, upload } from './transfer.ts';

/** The first tensor in which a NaN or an infinity was found. */
export type Anomaly = {
  /** The launch that made it, with its scopes, or null where it was there before the program ran. */
  readonly label: string | null;
  /** What the launch calls the tensor, or the label of a tensor that was there before. */
  readonly tensor: string;
  /** Its first element that is not finite. */
  readonly index: number;
};

/** A tensor to look at once `after` dispatches have run. */
type Check = Omit<Anomaly, 'index'> & {
  readonly after: number; readonly storage: Storage; readonly dtype: 'f32' | 'f16';
};

const NONE = 0xffffffff;
const VALUES_A_THREAD = 256;

/**
 * Runs a program once, launch by launch, and looks for a NaN or an infinity in all that it is given, then in
 * all that each launch writes. Slower than `run`; changes the same state.
 */
export async function findNonFinite(
  gpu: Gpu, executable: Executable, live: Live = {},
): Promise<Anomaly | null> {
  const checks = checksOf(executable);
  const buffer = gpu.memory.alloc('first non-finite values', 4 * checks.length);
  const first = createStorage('first non-finite values', 4 * checks.length, { buffer, offset: 0 });
  upload(gpu, first.place!, new Uint32Array(checks.length).fill(NONE));
  const { executable: checker } = await compile(gpu, 'non-finite values', () => {
    checks.forEach(({ storage, dtype }, at) => {
      const place = executable.placeOf({ storage });
      const x = { storage: createStorage(storage.label, storage.length, place), dtype };
      const count = storage.length / ELEMENT_BYTES[dtype];
      const threads = Math.ceil(count / VALUES_A_THREAD);
      dispatch('non_finite/forward', { x, first: { storage: first } }, { threads, params: { count, at } });
    });
  });
  try {
    submit(gpu, executable, checker, checks, live);
    const [found] = await download(gpu, [{ buffer, offset: 0, bytes: first.length }]);
    const indices = new Uint32Array(found!);
    const at = indices.findIndex((index) => index !== NONE);
    if (at < 0) return null;
    const { label, tensor } = checks[at]!;
    return { label, tensor, index: indices[at]! };
  } finally {
    checker.destroy();
    gpu.memory.free(buffer);
  }
}

/** What the program reads without having made it, then what each launch writes; no integers. */
function checksOf({ commands }: Executable): Check[] {
  const given = new Map<Storage, Check>();
  const made: Check[] = [];
  const written: Storage[] = [];
  commands.forEach(({ dispatch: launch }, i) => {
    for (const use of launch.uses) {
      const { storage, access, name } = use;
      if (access === 'read_write') written.push(storage);
      const dtype = floatsOf(launch.source, use);
      if (!dtype) continue;
      if (access === 'read_write') {
        made.push({ after: i + 1, storage, dtype, label: launch.label, tensor: name });
      } else if (storage.place && !given.has(storage) && !written.some((other) => overlap(storage, other))) {
        given.set(storage, { after: 0, storage, dtype, label: null, tensor: storage.label });
      }
    }
  });
  return [...given.values(), ...made];
}

// gradients lie one by one in a range that the optimizer reads as a whole
function overlap(a: Storage, b: Storage): boolean {
  if (!a.place || a.place.buffer !== b.place?.buffer) return false;
  return a.place.offset < b.place.offset + b.bytes && b.place.offset < a.place.offset + a.bytes;
}

// transients start from zero, so that what a launch leaves as it found it is not another tensor's rest
function submit(
  gpu: Gpu, executable: Executable, checker: Executable, checks: readonly Check[], live: Live,
): void {
  executable.setLive(live);
  const encoder = gpu.device.createCommandEncoder({ label: 'non-finite values' });
  const seen = new Set<Storage>();
  let next = 0;
  const check = (after: number): void => {
    for (; next < checks.length && checks[next]!.after === after; next++) {
      const pass = encoder.beginComputePass();
      encode(pass, checker.commands[next]!);
      pass.end();
    }
  };
  check(0);
  executable.commands.forEach((command, i) => {
    for (const use of command.dispatch.uses) {
      const storage = rootOf(use.storage);
      if (storage.place || seen.has(storage)) continue;
      seen.add(storage);
      const { buffer, offset } = executable.placeOf({ storage });
      encoder.clearBuffer(buffer, offset, storage.bytes);
    }
    const pass = encoder.beginComputePass();
    encode(pass, command);
    pass.end();
    check(i + 1);
  });
  gpu.device.queue.submit([encoder.finish()]);
  gpu.check();
}
