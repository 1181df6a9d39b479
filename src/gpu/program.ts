import type { Gpu } from './device.ts';
import { GpuError } from './errors.ts';
import { countOf, sized, tunedGrid, type GridChoice, type Sized } from './grid.ts';
import { appendRegion } from './region.ts';
import { settleAll, settleFor, type Pending } from './pending.ts';
import { createStorage, expectBindable, type Bound, type Storage } from './storage.ts';
import { floatsOf, storedAsHalves } from './storage_type.ts';
import { loadKernel, parseKernel, type Binding, type KernelSource, type Tuning } from './wgsl.ts';

/**
 * How many workgroups: given as such, as threads, or as items that threads walk over as suits the device
 * (`kernels/lib/walk.wgsl`). Long grids are folded into two dimensions.
 */
type Grid = { readonly workgroups: number } | { readonly threads: number } | { readonly items: number };

export type Launch = Grid & {
  readonly params?: Readonly<Record<string, number>>;
  readonly tuning?: Tuning;
  /** Text that a generator of `kernels/` wrote for this launch, under a key that names it. */
  readonly generated?: {
    readonly key: string;
    /** The same for all variants of which one, with more buffers, does what the others do. */
    readonly like?: string;
    readonly code: () => string;
  };
  /** Floating-point operations, for the plan and the profile. */
  readonly flops?: number;
};

/** A buffer of a launch, as the kernel declares it. */
export type Use = Binding & { readonly storage: Storage };

/** One kernel launch of a program, fixed but for where its buffers lie. */
export type Dispatch = {
  /** The scopes it was traced in, then its path. */
  readonly label: string;
  /** `<file>/<entry>` */
  readonly path: string;
  /** The file, or what a generator made of it, the tuning that is not the default, what is stored as f16. */
  readonly variant: string;
  /** The variant, or what it has in common with others that one of them can stand for. */
  readonly like: string;
  readonly source: KernelSource;
  readonly entry: string;
  readonly uses: readonly Use[];
  readonly params: Uint32Array<ArrayBuffer> | null;
  readonly grid: readonly [number, number];
  readonly flops: number;
  readonly bytes: number;
};

/** What a traced body launched, in order. */
export type Program = {
  readonly label: string;
  readonly gpu: Gpu;
  readonly dispatches: Dispatch[];
  readonly kept: Set<Storage>;
  readonly scopes: string[];
  /** What is traced as late as can be, see `gpu/pending.ts`. */
  readonly pending: Pending;
  /** What is traced last and runs first, once it is known what the body asks of it. */
  readonly openings: (() => void)[];
  /** Operations that drew random numbers so far: each gets a stream of its own. */
  randomStreams: number;
};

const MAX_GRID = 65535;
const RANGES = {
  u32: [0, 2 ** 32 - 1], i32: [-(2 ** 31), 2 ** 31 - 1], f32: [-Infinity, Infinity],
} as const;
const sources = new Map<string, KernelSource>();
let current: Program | null = null;

/** Runs `body`, whose ops append their kernels to a new program instead of executing. */
export function trace<T>(gpu: Gpu, label: string, body: () => T): { program: Program; result: T } {
  if (current) throw new GpuError(`trace: "${current.label}" is being traced already`);
  const program: Program = {
    label, gpu, dispatches: [], kept: new Set(), scopes: [], pending: new Map(), openings: [],
    randomStreams: 0,
  };
  const { dispatches, openings } = program;
  current = program;
  try {
    const result = body();
    settleAll(program.pending);
    const end = dispatches.length;
    for (const open of openings) open();
    dispatches.unshift(...dispatches.splice(end));
    return { program, result };
  } finally {
    current = null;
  }
}

/** The program being traced. @throws GpuError outside of `trace` */
export function tracing(what: string): Program {
  if (!current) throw new GpuError(`${what}: must run inside a traced program`);
  return current;
}

/** Names the part of the model whose ops `body` traces, for profiles and errors. */
export function scope<T>(name: string, body: () => T): T {
  const { scopes } = tracing(name);
  scopes.push(name);
  try {
    return body();
  } finally {
    scopes.pop();
  }
}

/** Bytes that live inside the traced program only. */
export function transient(label: string, bytes: number): Storage {
  const { gpu, scopes } = tracing(label);
  expectBindable([...scopes, label].join(' '), bytes, gpu.limits);
  return createStorage(label, bytes, null);
}

/** Keeps a program's storage readable after it ran. */
export function keep(...bounds: readonly Bound[]): void {
  const { kept } = tracing('keep');
  for (const { storage } of bounds) kept.add(storage);
}

/**
 * Appends a launch of `kernels/<file>.wgsl`'s `<entry>` to the program.
 *
 * @param path `<file>/<entry>`
 * @param buffers named as the kernel names them
 */
export function dispatch(path: string, buffers: Readonly<Record<string, Bound>>, launch: Launch): void {
  const program = tracing(path);
  const { gpu, scopes, dispatches } = program;
  settleFor(program.pending, Object.values(buffers));
  const by = (choice: GridChoice): void => {
    dispatches.push(prepare(path, buffers, sized(gpu, launch, choice)));
  };
  const count = countOf(launch);
  if (count === null) {
    by({});
    return;
  }
  const code = (): string => loadKernel(path.split('/')[0]!).code;
  appendRegion(program, {
    what: [...scopes, `${path} of ${count}`].join(' '),
    fast: () => by(tunedGrid(gpu, path, launch, count, code)),
    plain: () => by({}),
  });
}

function prepare(
  path: string, buffers: Readonly<Record<string, Bound>>, { walk, ...launch }: Sized,
): Dispatch {
  const { scopes } = tracing(path);
  const label = [...scopes, path].join(' ');
  const [file, entry] = path.split('/') as [string, string];
  const { variant, source } = variantOf(file, buffers, launch);
  const threads = source.entries.get(entry)?.workgroupThreads;
  if (threads === undefined) throw new GpuError(`${label}: ${source.file} has no entry point "${entry}"`);
  const uses = Object.entries(buffers).map(([name, { storage }]) => {
    const binding = source.bindings.get(name);
    if (binding && binding.access !== 'uniform') return { ...binding, storage };
    throw new GpuError(`${label}: the kernel has no binding "${name}"`);
  });
  const workgroups = 'workgroups' in launch ? launch.workgroups : Math.ceil(launch.threads / threads);
  return {
    label, path, variant, like: likeOf(variant, launch), source, entry, uses,
    params: packParams(label, source, launch.params ?? {}, walk),
    grid: fold(label, workgroups, threads),
    flops: launch.flops ?? 0,
    bytes: uses.reduce((sum, { storage }) => sum + storage.bytes, 0),
  };
}

// kernels number their threads by a u32, also those of a folded grid's last row
function fold(label: string, workgroups: number, threads: number): [number, number] {
  if (!(workgroups > 0 && workgroups * threads <= 2 ** 31)) {
    throw new GpuError(`${label}: must launch 1 to 2^31 threads, got ${workgroups} workgroups of ${threads}`);
  }
  if (workgroups <= MAX_GRID) return [workgroups, 1];
  const rows = Math.ceil(workgroups / MAX_GRID);
  return [Math.ceil(workgroups / rows), rows];
}

function likeOf(variant: string, { generated }: Omit<Sized, 'walk'>): string {
  return generated?.like ? variant.replace(generated.key, generated.like) : variant;
}

type Variant = Pick<Dispatch, 'variant' | 'source'>;

function variantOf(
  file: string, buffers: Readonly<Record<string, Bound>>, { tuning, generated }: Omit<Sized, 'walk'>,
): Variant {
  const words = Object.entries(tuning ?? {}).map(([name, value]) => `${name}=${value}`);
  const declared = known([generated?.key ?? file, ...words].join(' '), () => generated
    ? parseKernel(`kernels/${generated.key}`, generated.code(), tuning)
    : loadKernel(file, tuning));
  const { source, variant } = declared;
  const halves = Object.keys(buffers).filter((name) => {
    const binding = source.bindings.get(name);
    return buffers[name]!.dtype === 'f16' && binding && floatsOf(source, binding) === 'f32';
  });
  if (halves.length === 0) return declared;
  return known(`${variant} f16(${halves.join(' ')})`, () => storedAsHalves(source, halves));
}

function known(variant: string, make: () => KernelSource): Variant {
  let source = sources.get(variant);
  if (!source) sources.set(variant, source = make());
  return { variant, source };
}

function packParams(
  label: string, source: KernelSource, values: Readonly<Record<string, number>>, walk: number,
): Dispatch['params'] {
  const unknown = Object.keys(values).find((name) => !source.params.some((param) => param.name === name));
  if (unknown) throw new GpuError(`${label}: the kernel has no parameter "${unknown}"`);
  if (source.params.length === 0) return null;
  const words = new DataView(new ArrayBuffer(Math.ceil(source.params.length / 4) * 16));
  source.params.forEach(({ name, type }, i) => {
    const value = name === 'zero' ? 0 : name === 'walk' ? walk : values[name];
    const [low, high] = RANGES[type];
    const whole = type === 'f32' || Number.isInteger(value);
    if (value === undefined || !(value >= low && value <= high && whole)) {
      throw new GpuError(`${label}: parameter "${name}" must be of type ${type}, got ${value}`);
    }
    if (type === 'f32') words.setFloat32(4 * i, value, true);
    else if (type === 'i32') words.setInt32(4 * i, value, true);
    else words.setUint32(4 * i, value, true);
  });
  return new Uint32Array(words.buffer);
}
