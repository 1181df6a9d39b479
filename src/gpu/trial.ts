import { createHash } from 'node:crypto';
import type { Gpu } from './device.ts';
import { dispatch, keep, trace, tracing, transient, type Dispatch, type Program } from './program.ts';
import type { Bound, Storage } from './storage.ts';
import { loadKernel, type KernelSource } from './wgsl.ts';

/** Two lists of launches that must leave the same in what both write. */
export type Trial = {
  /** What is computed, with its shape, for a person. */
  readonly what: string;
  readonly fast: readonly Dispatch[];
  readonly plain: readonly Dispatch[];
  /** Launches that make inputs which cannot be any numbers, such as what a forward pass keeps. */
  readonly before: readonly Dispatch[];
  /** Inputs that hold whole numbers, and what these are below. */
  readonly below: ReadonlyMap<Storage, number>;
};

/** The largest difference of two results of a trial in units of their root mean square. */
const TOLERANCES = { f32: 3e-4, f16: 1e-2 } as const;

// random inputs may well have no result, such as the root of a negative number, but not most of them
const LEAST_FINITE = 0.1;

/** The difference that a trial's launches may have: more where either computes in half precision. */
export function toleranceOf({ fast, plain }: Trial): number {
  const half = [...fast, ...plain].some(({ source }) => /^\s*enable [^;]*\bf16\b/m.test(source.code));
  return half ? TOLERANCES.f16 : TOLERANCES.f32;
}

const hashes = new WeakMap<KernelSource, string>();

/** Names all that a trial's outcome depends on but the device: texts, parameters, grids, sizes, method. */
export function trialKey({ before, fast, plain, below }: Omit<Trial, 'what'>): string {
  const numbers = new Map<Storage, number>();
  const numberOf = (storage: Storage): number => {
    if (!numbers.has(storage)) numbers.set(storage, numbers.size);
    return numbers.get(storage)!;
  };
  const wordsOf = ({ source, entry, params, grid, uses }: Dispatch): unknown => [
    hashOf(source), entry, params ? [...params] : [], grid,
    uses.map(({ name, storage }) => [name, numberOf(storage), storage.length]),
  ];
  const words = [before, fast, plain].map((launches) => launches.map(wordsOf));
  const limits = [...below].map(([storage, least]) => [numberOf(storage), least]);
  const method = [loadKernel('trial').code, LEAST_FINITE, TOLERANCES];
  return createHash('sha256').update(JSON.stringify([words, limits, method])).digest('hex').slice(0, 32);
}

function hashOf(source: KernelSource): string {
  let hash = hashes.get(source);
  if (!hash) hashes.set(source, hash = createHash('sha256').update(source.code).digest('base64'));
  return hash;
}

/** Whether a trial's two lists are the same launches, so that there is nothing to try. */
export function isSame({ fast, plain }: Pick<Trial, 'fast' | 'plain'>): boolean {
  return fast.length === plain.length && fast.every((launch, i) => {
    const { variant, entry, params, grid } = plain[i]!;
    return launch.variant === variant && launch.entry === entry && launch.grid.join() === grid.join()
      && (launch.params ?? []).join() === (params ?? []).join();
  });
}

/** Runs a program once and reads what it kept. */
export type RunOnce = (program: Program, kept: readonly Readback[]) => Promise<ArrayBuffer[]>;
type Readback = Bound & { readonly bytes: number };

/**
 * Runs both lists of each trial on the same random inputs, all trials in one program.
 *
 * @returns a trial's largest difference, relative to the root mean square of the plain result; infinite where
 * one is finite and the other is not, or next to nothing is
 */
export async function differencesIn(
  gpu: Gpu, trials: readonly Trial[], runOnce: RunOnce,
): Promise<number[]> {
  const unchecked = { ...gpu, guard: null, tuning: null };
  const what = trials.length === 1 ? trials[0]!.what : `${trials.length} trials`;
  const { program, result } = trace(unchecked, what, () => trials.map(traceTrial));
  const found = (await runOnce(program, result.flat().map(({ parts }) => parts))).values();
  return result.map((compared) => Math.max(...compared.map(({ words }) =>
    errorOf(new Float32Array(found.next().value!), words))));
}

/** Launches on random inputs as a program of their own, which ends in them and keeps what they write. */
export function standAlone(
  gpu: Gpu, known: Pick<Trial, 'what' | 'before' | 'below'>, launches: readonly Dispatch[],
): Program {
  const unchecked = { ...gpu, guard: null, tuning: null };
  return trace(unchecked, known.what, () => {
    const trial = { ...known, fast: launches, plain: [] };
    const twins = new Map([...partsOf(trial)].map(([storage, part]) =>
      [storage, twinOf(trial, storage, part)] as const));
    append([...known.before, ...launches], twins);
    keep(...written(launches).map((storage) => ({ storage: twins.get(storage)! })));
  }).program;
}

type Compared = { readonly parts: Readback; readonly words: number };

/** How kernels/trial.wgsl sees the words of a tensor. */
const KINDS = { f32: 0, f16: 1, u32: 2, whole: 3 } as const;
const COMPARING = 4096;

/** A tensor of a trial: its number in order of first use, and how that use declares it. */
type Part = { readonly seed: number; readonly kind: 'f32' | 'f16' | 'u32'; readonly isTable: boolean };

function traceTrial(trial: Trial): Compared[] {
  const { fast, plain, before, what } = trial;
  const byPlain = written(plain);
  const results = written(fast).filter((storage) => byPlain.includes(storage));
  if (results.length === 0) throw new Error(`${what}: both forms must write one tensor at least`);

  const parts = partsOf(trial);
  const twins = new Map([...parts].map(([storage, part]) => [storage, twinOf(trial, storage, part)]));
  const ofPlain = new Map(twins);
  for (const result of results) ofPlain.set(result, twinOf(trial, result, parts.get(result)!));
  append([...before, ...fast], twins);
  append([...before, ...plain], ofPlain);
  return results.map((result) =>
    compareTwins(twins.get(result)!, ofPlain.get(result)!, KINDS[parts.get(result)!.kind]));
}

function written(launches: readonly Dispatch[]): Storage[] {
  const outputs = launches.flatMap(({ uses }) => uses.filter(({ access }) => access === 'read_write'));
  return [...new Set(outputs.map(({ storage }) => storage))];
}

function partsOf({ before, fast, plain }: Trial): Map<Storage, Part> {
  const parts = new Map<Storage, Part>();
  for (const { uses, source } of [...before, ...fast, ...plain]) {
    for (const { storage, access, type } of uses) {
      const known = parts.get(storage);
      const kind = elementOf(source, type);
      // what a kernel has no use for may be bound to anything: floats are bound as such somewhere
      if (known && !(known.kind === 'u32' && kind !== 'u32')) continue;
      // tables on the device, such as offsets, mean something
      const isTable = storage.place !== null && access === 'read' && kind === 'u32';
      parts.set(storage, { seed: known?.seed ?? parts.size, kind, isTable });
    }
  }
  return parts;
}

function elementOf({ code }: KernelSource, type: string): Part['kind'] {
  const element = /^array<([\w<>]+)>$/.exec(type)?.[1] ?? type;
  const meant = new RegExp(`alias\\s+${element}\\s*=\\s*([^;]+);`).exec(code)?.[1] ?? element;
  if (/u32|i32|atomic|vec\d[ui]/.test(meant)) return 'u32';
  return /f16|vec\dh/.test(meant) ? 'f16' : 'f32';
}

/** A stand-in for a tensor, with random content that its number decides; tables stand for themselves. */
function twinOf({ below }: Trial, storage: Storage, { seed, kind, isTable }: Part): Storage {
  if (isTable) return storage;
  const twin = transient(storage.label, storage.length);
  const least = below.get(storage);
  const count = Math.ceil(storage.length / 4);
  const content = least === undefined ? KINDS[kind] : KINDS.whole;
  const params = { count, seed, kind: content, below: least ?? 0, threads: 0 };
  dispatch('trial/fill', { filled: { storage: twin } }, { threads: Math.ceil(count / 4), params });
  return twin;
}

function append(launches: readonly Dispatch[], twins: ReadonlyMap<Storage, Storage>): void {
  const { dispatches } = tracing('trial');
  for (const launch of launches) {
    const uses = launch.uses.map((use) => ({ ...use, storage: twins.get(use.storage)! }));
    dispatches.push({ ...launch, uses });
  }
}

function compareTwins(x: Storage, y: Storage, kind: number): Compared {
  const words = Math.ceil(x.length / 4);
  const threads = Math.min(COMPARING, words);
  const parts = { storage: transient('differences', 16 * threads), bytes: 16 * threads };
  const params = { count: words, kind, threads, seed: 0, below: 0 };
  dispatch('trial/compare', { x: { storage: x }, y: { storage: y }, parts }, { threads, params });
  keep(parts);
  return { parts, words };
}

function errorOf(parts: Float32Array, words: number): number {
  const total = (at: number): number => parts.reduce((sum, part, i) => i % 4 === at ? sum + part : sum, 0);
  const [squares, oneSided, finite] = [total(1), total(2), total(3)];
  if (oneSided > 0 || finite < LEAST_FINITE * words) return Infinity;
  const largest = parts.reduce((most, part, i) => i % 4 === 0 ? Math.max(most, part) : most, 0);
  return largest === 0 ? 0 : largest / Math.sqrt(squares / finite);
}
