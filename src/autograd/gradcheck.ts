import type { Gpu } from '../gpu/device.ts';
import { evaluate } from './run.ts';
import { size, type Shape } from './shape.ts';
import { backward } from './tape.ts';
import { lasting, release, trainable, type Tensor } from './tensor.ts';

/** The same function in f64: what an op is held to. Inputs and outputs are row-major. */
export type Definition = (...inputs: Float64Array[]) => Float64Array | Float64Array[];
export type Op = (...inputs: Tensor[]) => Tensor | readonly Tensor[];

export type GradcheckOptions = {
  /** Values of input `i`; the default is normal, f32-exact, from a fixed seed. */
  readonly values?: readonly (ArrayLike<number> | null)[];
  /** Inputs that are stored as f16, rounded before anything is computed of them. */
  readonly halves?: readonly number[];
  /** Inputs that are not differentiated by (labels, indices). */
  readonly fixed?: readonly number[];
  /** Largest relative L2 error of an output, and of a directional derivative. */
  readonly tolerance?: number;
  readonly gradTolerance?: number;
  /** Step of the central difference of the f64 definition. */
  readonly epsilon?: number;
  readonly seed?: number;
  /** Runs around the tracing of forward and backward, to set what ops look at while they trace. */
  readonly around?: <T>(body: () => T) => T;
};

/**
 * Holds an op to its f64 definition: the outputs by relative L2 error, each input's gradient by the
 * directional derivative of the definition along random directions (two evaluations a direction, not two an
 * element).
 *
 * @returns the largest error of both kinds
 * @throws Error `output 0: …` or `gradient of input 1 along direction[0]: got …, want … ± …`
 */
export async function gradcheck(
  gpu: Gpu, op: Op, definition: Definition, shapes: readonly Shape[], options: GradcheckOptions = {},
): Promise<{ output: number; gradient: number }> {
  const { tolerance = 2e-6, fixed = [], halves = [], seed = 1, around = (body) => body() } = options;
  const random = normals(seed);
  const host = shapes.map((shape, i) => {
    const values = Array.from({ length: size(shape) }, (_, k) => options.values?.[i]?.[k] ?? random());
    return Float32Array.from(values, halves.includes(i) ? Math.f16round : Math.fround);
  });
  const inputs = host.map((values, i) => {
    const dtype = halves.includes(i) ? 'f16' : 'f32';
    const tensor = lasting(gpu, `input ${i}`, shapes[i]!, values, dtype);
    return fixed.includes(i) ? tensor : trainable(tensor);
  });
  const exact = host.map((values) => Float64Array.from(values));
  const want = list(definition(...exact));
  const upstream = want.map((y) => Float32Array.from(y, () => random()));
  const seeds = upstream.map((values, i) => lasting(gpu, `upstream ${i}`, [values.length], values));
  try {
    const { outputs, gradients } = await run(gpu, op, inputs, seeds, around);
    const apart = outputs.map((got, i) => expectClose(`output ${i}`, got, want[i]!, tolerance));
    const loss = (values: Float64Array[]): number =>
      list(definition(...values)).reduce((sum, y, i) => sum + dot(y, upstream[i]!), 0);
    const gradientsApart = gradients.map((gradient, i) =>
      fixed.includes(i) ? 0 : expectDerivative(i, gradient, loss, exact, random, options));
    return { output: Math.max(...apart), gradient: Math.max(...gradientsApart) };
  } finally {
    for (const tensor of [...inputs, ...seeds]) release(gpu, tensor);
  }
}

function expectDerivative(
  input: number, gradient: Float32Array | null, loss: (values: Float64Array[]) => number,
  exact: readonly Float64Array[], random: () => number,
  { gradTolerance = 2e-5, epsilon = 1e-4 }: GradcheckOptions,
): number {
  let largest = 0;
  for (let d = 0; d < 2; d++) {
    const direction = Float64Array.from(exact[input]!, () => random());
    const moved = (by: number): Float64Array[] =>
      exact.map((x, k) => k === input ? x.map((v, n) => v + by * direction[n]!) : x);
    const want = (loss(moved(epsilon)) - loss(moved(-epsilon))) / (2 * epsilon);
    const terms = direction.map((v, n) => v * (gradient?.[n] ?? 0));
    const got = terms.reduce((sum, term) => sum + term, 0);
    // the noise of a sum is that of its terms, also where they cancel
    const scale = Math.max(Math.abs(want), norm(terms), 1e-6);
    const error = Number.isFinite(got) ? Math.abs(got - want) / scale : Infinity;
    if (!(error <= gradTolerance)) {
      throw new Error(`gradient of input ${input} along direction[${d}]: `
        + `got ${got}, want ${want} ± ${gradTolerance * scale}`);
    }
    largest = Math.max(largest, error);
  }
  return largest;
}

async function run(
  gpu: Gpu, op: Op, inputs: readonly Tensor[], seeds: readonly Tensor[], around: <T>(body: () => T) => T,
): Promise<{ outputs: Float32Array[]; gradients: (Float32Array | null)[] }> {
  let present: boolean[] = [];
  let count = 0;
  const read = await evaluate(gpu, () => around(() => {
    const outputs = list(op(...inputs));
    count = outputs.length;
    const differentiable = outputs.flatMap((y, i) => y.requiresGrad ? [[y, seeds[i]!] as const] : []);
    const found = backward(differentiable);
    const gradients = inputs.map((x) => found.get(x));
    present = gradients.map((g) => g !== null);
    return [...outputs, ...gradients.filter((g) => g !== null)];
  }));
  const rest = read.slice(count);
  return { outputs: read.slice(0, count), gradients: present.map((there) => there ? rest.shift()! : null) };
}

/** @returns the relative L2 error of `got` @throws Error where it exceeds `tolerance` */
export function expectClose(
  what: string, got: ArrayLike<number>, want: ArrayLike<number>, tolerance: number,
): number {
  if (got.length !== want.length) throw new Error(`${what}: got ${got.length} values, want ${want.length}`);
  const error = relL2(got, want);
  if (error <= tolerance) return error;
  let worst = 0;
  for (let i = 0; i < want.length; i++) {
    const miss = (k: number): number => Number.isFinite(got[k]!) ? Math.abs(got[k]! - want[k]!) : Infinity;
    if (miss(i) > miss(worst)) worst = i;
  }
  throw new Error(`${what}: relative L2 error ${error.toExponential(2)} exceeds ${tolerance}; `
    + `worst at ${worst}: got ${got[worst]}, want ${want[worst]}`);
}

/** ‖got − want‖ / ‖want‖, or ‖got‖ where `want` is zero; Infinity where something is not finite. */
export function relL2(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let difference = 0;
  let length = 0;
  for (let i = 0; i < want.length; i++) {
    difference += (got[i]! - want[i]!) ** 2;
    length += want[i]! ** 2;
  }
  const error = Math.sqrt(difference) / (length > 0 ? Math.sqrt(length) : 1);
  return Number.isNaN(error) ? Infinity : error;
}

const list = <T>(value: T | readonly T[]): readonly T[] =>
  Array.isArray(value) ? value as readonly T[] : [value as T];
const norm = (a: ArrayLike<number>): number => Math.sqrt(dot(a, a));

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Standard normal numbers from a small generator with a fixed seed (mulberry32 and Box-Muller). */
export function normals(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
