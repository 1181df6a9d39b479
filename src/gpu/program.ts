import type { Gpu } from './device.ts';
import { GpuError } from './errors.ts';
import { createStorage, type Bound, type Storage } from './storage.ts';
import { loadKernel, parseKernel, type Access, type KernelSource, type Tuning } from './wgsl.ts';

/** How many workgroups: given as such, or as threads, one each. Long grids are folded into two dimensions. */
export type Grid = { readonly workgroups: number } | { readonly threads: number };

export type Launch = Grid & {
  readonly params?: Readonly<Record<string, number>>;
  readonly tuning?: Tuning;
  /** Text that a generator of `kernels/` wrote for this launch, under a key that names it. */
  readonly generated?: { readonly key: string; readonly code: () => string };
  /** Floating-point operations, for the plan and the profile. */
  readonly flops?: number;
};

export type Use = { readonly name: string; readonly access: Access; readonly storage: Storage };

/** One kernel launch of a program, fixed but for where its buffers lie. */
export type Dispatch = {
  readonly label: string;
  readonly path: string;
  readonly variant: string;
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
  /** Operations that drew random numbers so far: each gets a stream of its own. */
  randomStreams: number;
};

const MAX_GRID = 65535;
const sources = new Map<string, KernelSource>();
let current: Program | null = null;

/** Runs `body`, whose ops append their kernels to a new program instead of executing. */
export function trace<T>(gpu: Gpu, label: string, body: () => T): { program: Program; result: T } {
  if (current) throw new GpuError(`trace: "${current.label}" is being traced already`);
  const program: Program = { label, gpu, dispatches: [], kept: new Set(), scopes: [], randomStreams: 0 };
  current = program;
  try {
    return { program, result: body() };
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
  const { limits } = tracing(label).gpu;
  if (bytes > limits.maxStorageBufferBindingSize) {
    throw new GpuError(`${label}: needs ${bytes} bytes in one binding, and this device allows `
      + `${limits.maxStorageBufferBindingSize}: use a smaller batch or image`);
  }
  return createStorage(label, bytes, null);
}

/** Keeps a program's storage readable after it ran. */
export function keep(...bounds: readonly Bound[]): void {
  const { kept } = tracing('keep');
  for (const { storage } of bounds) kept.add(storage);
}

/**
 * Appends `kernels/<file>.wgsl`'s `<entry>` on `buffers`, which are named as the kernel names them, to the program.
 *
 * @param path `<file>/<entry>`
 */
export function dispatch(path: string, buffers: Readonly<Record<string, Bound>>, launch: Launch): void {
  const program = tracing(path);
  const [file, entry] = path.split('/') as [string, string];
  const variant = `${launch.generated?.key ?? file}${JSON.stringify(launch.tuning ?? {})}`;
  const source = sourceOf(variant, file, launch);
  const threads = source.entries.get(entry)?.workgroupThreads;
  if (threads === undefined) throw new GpuError(`${path}: ${source.file} has no entry point "${entry}"`);
  const uses = Object.entries(buffers).map(([name, { storage }]) => {
    const binding = source.bindings.get(name);
    if (!binding || binding.access === 'uniform') throw new GpuError(`${path}: the kernel has no binding "${name}"`);
    return { name, access: binding.access, storage };
  });
  const workgroups = 'workgroups' in launch ? launch.workgroups : Math.ceil(launch.threads / threads);
  if (!(workgroups > 0)) throw new GpuError(`${path}: must launch at least one workgroup, got ${workgroups}`);
  program.dispatches.push({
    label: [...program.scopes, path].join(' '),
    path, variant, source, entry, uses,
    params: packParams(path, source, launch.params ?? {}),
    grid: fold(workgroups),
    flops: launch.flops ?? 0,
    bytes: uses.reduce((sum, { storage }) => sum + storage.bytes, 0),
  });
}

function fold(workgroups: number): [number, number] {
  if (workgroups <= MAX_GRID) return [workgroups, 1];
  const rows = Math.ceil(workgroups / MAX_GRID);
  return [Math.ceil(workgroups / rows), rows];
}

function sourceOf(variant: string, file: string, { tuning, generated }: Launch): KernelSource {
  const known = sources.get(variant);
  if (known) return known;
  const source = generated
    ? parseKernel(`kernels/${generated.key}`, generated.code(), tuning)
    : loadKernel(file, tuning);
  sources.set(variant, source);
  return source;
}

function packParams(path: string, source: KernelSource, values: Readonly<Record<string, number>>): Dispatch['params'] {
  const unknown = Object.keys(values).find((name) => !source.params.some((param) => param.name === name));
  if (unknown) throw new GpuError(`${path}: the kernel has no parameter "${unknown}"`);
  if (source.params.length === 0) return null;
  const words = new DataView(new ArrayBuffer(Math.ceil(source.params.length / 4) * 16));
  source.params.forEach(({ name, type }, i) => {
    const value = name === 'zero' ? 0 : values[name];
    if (value === undefined || Number.isNaN(value)) {
      throw new GpuError(`${path}: parameter "${name}" must be a number, got ${value}`);
    }
    if (type === 'f32') words.setFloat32(4 * i, value, true);
    else if (type === 'i32') words.setInt32(4 * i, value, true);
    else words.setUint32(4 * i, value, true);
  });
  return new Uint32Array(words.buffer);
}
