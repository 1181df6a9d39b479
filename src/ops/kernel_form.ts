import type { Tensor } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import { tracing } from '../gpu/program.ts';
import { appendRegion } from '../gpu/region.ts';
import { joining } from './joining.ts';

/**
 * How a kernel family is written for a kind of device: `plain` is the readable reference that runs anywhere,
 * `panel` suits SIMD on a CPU (lavapipe), `tile` suits GPUs with workgroup memory.
 */
export type KernelForm = 'plain' | 'panel' | 'tile';

let forced: KernelForm | null = null;

/** The form that suits a device. */
export function kernelForm({ deviceClass, features, subgroupSize, plainKernels }: Gpu): KernelForm {
  if (forced) return forced;
  if (plainKernels) return 'plain';
  if (deviceClass === 'gpu') return 'tile';
  return features.has('subgroups') && subgroupSize === 8 ? 'panel' : 'plain';
}

/** Whether only the plain form may run: what others are checked against, or all that was asked for. */
export function isPlain({ plainKernels }: Gpu): boolean {
  return forced === 'plain' || (forced === null && plainKernels);
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

type GuardOptions = {
  /** Launches that make what `body` reads, where any numbers would not do: what a forward pass keeps. */
  readonly before?: () => void;
  /** Inputs that hold whole numbers, and what these are below. */
  readonly below?: ReadonlyMap<Tensor, number>;
};

/**
 * Traces `body` in the form that `kernelForm` says, as long as its launches are not known to disagree with
 * those of the plain form on this device; else in the plain form. What it writes its results to is made
 * outside of it, and it draws no random numbers.
 *
 * @param what the operation with its shape, for a person
 */
export function guarded(what: string, body: () => void, { before, below }: GuardOptions = {}): void {
  const program = tracing(what);
  if (isPlain(program.gpu)) {
    body();
    return;
  }
  const inPlain = (each: () => void) => (): void => withKernelForm('plain', each);
  appendRegion(program, {
    what, fast: body, plain: inPlain(body), before: before && inPlain(before),
    below: below && new Map([...below].map(([{ storage }, least]) => [storage, least])),
  });
}

export type TogetherOptions = GuardOptions & {
  /** What several bodies write, each elements of its own. */
  readonly apart?: readonly Tensor[];
  /** Whether only launches of one kernel are joined: where no other program has a use for the joined text. */
  readonly alike?: boolean;
};

/**
 * As `guarded`, for `bodies` that need not wait for each other: software drivers, to which a launch costs as
 * much as some work, do what they can of it in one.
 */
export function together(
  what: string, bodies: readonly (() => void)[],
  { apart = [], alike = false, ...options }: TogetherOptions = {},
): void {
  const { gpu } = tracing(what);
  const separate = new Set(apart.map(({ storage }) => storage));
  guarded(what, () => {
    if (kernelForm(gpu) === 'panel') joining(bodies, { apart: separate, alike });
    else for (const body of bodies) body();
  }, options);
}
