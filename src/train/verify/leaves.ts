import { evaluate } from '../../autograd/run.ts';
import { expectShape, size, type Shape } from '../../autograd/shape.ts';
import { backward } from '../../autograd/tape.ts';
import { lasting, release, trainable, type Tensor } from '../../autograd/tensor.ts';
import type { Gpu } from '../../gpu/device.ts';
import type { KeepBits } from '../../ops/dropout.ts';
import type { Golden } from './golden.ts';
import { PLAIN, type Layout } from './layout.ts';
import { compare, compareElements, compareList, type Check } from './report.ts';

/** A tensor of the file inside one of the device: from element `at` on. */
type Part = { readonly name: string; readonly shape: Shape; readonly at: number; readonly layout: Layout };
type Leaf = { readonly tensor: Tensor; readonly parts: readonly Part[] };

/** What a case computes, and where its gradients start; a loss [] without one starts from 1. */
export type Traced = {
  readonly outputs: readonly Tensor[];
  readonly seeds: readonly (readonly [Tensor, Tensor | null])[];
};

export type Placed = {
  /** On the device. */
  readonly shape: Shape;
  readonly layout?: Layout | undefined;
};

/** Inputs and parameters of a case on the device, every one of them differentiated by. */
export class Leaves {
  readonly #gpu: Gpu;
  readonly #golden: Golden;
  readonly #owned: Tensor[] = [];
  readonly #leaves: Leaf[] = [];
  readonly #buffers: Leaf[] = [];
  readonly #taken = new Set<string>();

  constructor(gpu: Gpu, golden: Golden) {
    this.#gpu = gpu;
    this.#golden = golden;
  }

  has(name: string): boolean {
    return this.#golden.has(`param.${name}`);
  }

  /** A parameter. @throws Error where the file gives it another shape */
  param(name: string, shape: Shape): Tensor {
    return this.stack([name], [shape], shape);
  }

  /** Parameters [r_i, n], or those of layout `TRANSPOSED` [n, r_i], one below the other as [Σ r_i, n]. */
  stack(names: readonly string[], shapes: readonly Shape[], shape: Shape, layout = PLAIN): Tensor {
    names.forEach((name, i) => {
      expectShape(this.#golden.path, `"param.${name}"`, this.#golden.shape(`param.${name}`), shapes[i]!);
      this.#taken.add(name);
    });
    return this.differentiated(names.map((name) => [name, `param.${name}`]), { shape, layout });
  }

  /** Inputs `in.<name>` one below the other. */
  inputs(names: readonly string[], placed: Placed): Tensor {
    return this.differentiated(names.map((name) => [name, `in.${name}`]), placed);
  }

  /** Tensors of the file one below the other, each with the name that its gradient gets. */
  differentiated(names: readonly (readonly [gradient: string, stored: string])[], placed: Placed): Tensor {
    const { tensor, parts } = this.#place(names, placed);
    const leaf = { tensor: trainable(tensor), parts };
    this.#leaves.push(leaf);
    return leaf.tensor;
  }

  /** Buffers `buffer.<name>` one below the other, which a forward may change. */
  buffer(names: readonly string[], shape: Shape): Tensor {
    const leaf = this.#place(names.map((name) => [name, `buffer.${name}`]), { shape });
    this.#buffers.push(leaf);
    return leaf.tensor;
  }

  /** What the buffers hold now. */
  async readBuffers(): Promise<ReadonlyMap<string, Float32Array>> {
    const values = await evaluate(this.#gpu, () => this.#buffers.map(({ tensor }) => tensor));
    return new Map(this.#buffers.flatMap(({ parts }, i) =>
      parts.map((part) => [part.name, inFile(values[i]!, part)] as const)));
  }

  /** A tensor of the file that nothing is differentiated by, such as a mask or an upstream gradient. */
  constant(names: readonly string[], placed: Placed): Tensor {
    return this.#place(names.map((name) => [name, name]), placed).tensor;
  }

  /** Values that are not of the file, which nothing is differentiated by. */
  put(label: string, shape: Shape, values: Float32Array): Tensor {
    const tensor = lasting(this.#gpu, label, shape, values);
    this.#owned.push(tensor);
    return tensor;
  }

  /** A dropout mask of factors, one for all that is kept. */
  keepBits(name: string): KeepBits {
    const mask = this.#golden.values(name);
    const factor = mask.find((value) => value !== 0) ?? 1;
    const words = new Uint32Array(Math.ceil(mask.length / 32));
    mask.forEach((value, i) => {
      if (value !== 0 && value !== factor) {
        throw new Error(`${this.#golden.path}: "${name}" must hold 0 and ${factor}, got ${value}`);
      }
      if (value !== 0) words[i >>> 5]! |= 1 << (i & 31);
    });
    const bits = lasting(this.#gpu, name, [words.length], words, 'u32');
    this.#owned.push(bits);
    return { bits, factor };
  }

  /** @throws Error where the file has a parameter that nobody asked for: the case describes another layer */
  expectAllTaken(except: readonly string[]): void {
    const left = this.#golden.below('param.')
      .find((name) => !this.#taken.has(name) && !except.includes(name));
    if (left === undefined) return;
    throw new Error(`${this.#golden.path}: what the case describes has no parameter "${left}"`);
  }

  /** Runs what `body` traces on the device, and backward from its seeds. */
  async run(body: () => Traced): Promise<{ outputs: Float32Array[]; gradients: Gradients }> {
    let count = 0;
    const found: { leaf: Leaf; index: number }[] = [];
    const values = await evaluate(this.#gpu, () => {
      const { outputs, seeds } = body();
      for (const [output, upstream] of seeds) {
        if (upstream) expectShape('verify', 'the output', output.shape, upstream.shape);
      }
      const gradients = backward(seeds);
      const read = [...outputs];
      count = read.length;
      for (const leaf of this.#leaves) {
        const gradient = gradients.get(leaf.tensor);
        if (gradient) found.push({ leaf, index: read.push(gradient) - 1 });
      }
      return read;
    });
    const gradients = new Map<string, Float32Array>();
    for (const { leaf, index } of found) {
      for (const part of leaf.parts) gradients.set(part.name, inFile(values[index]!, part));
    }
    return { outputs: values.slice(0, count), gradients };
  }

  release(): void {
    for (const tensor of this.#owned) release(this.#gpu, tensor);
  }

  #place(names: readonly (readonly [string, string])[], { shape, layout = PLAIN }: Placed): Leaf {
    let at = 0;
    const parts = names.map(([name, stored]) => {
      const part = { name, shape: this.#golden.shape(stored), at, layout };
      at += size(part.shape);
      return part;
    });
    const values = new Float32Array(at);
    parts.forEach((part, i) => {
      values.set(layout.toDevice(this.#golden.values(names[i]![1]), part.shape), part.at);
    });
    const tensor = lasting(this.#gpu, names.map(([name]) => name).join(' '), shape, values);
    this.#owned.push(tensor);
    return { tensor, parts };
  }
}

export type Gradients = ReadonlyMap<string, Float32Array>;

function inFile(values: Float32Array, { shape, at, layout }: Part): Float32Array {
  return layout.toFile(values.subarray(at, at + size(shape)), shape);
}

/** Holds the streams of an output [G, ...] to `out.<name>` of the file. */
export function checkOutputs(
  label: string, golden: Golden, output: Float32Array, names: readonly string[], bound: number,
  layout = PLAIN,
): Check[] {
  const each = output.length / names.length;
  return names.map((name, i) => {
    const stream = output.subarray(i * each, (i + 1) * each);
    const stored = `out.${name}`;
    const got = layout.toFile(stream, golden.shape(stored));
    return compare(`${label} ${stored}`, got, golden.values(stored), bound);
  });
}

export type GradientOptions = {
  /** Of the names in the file. */
  readonly prefix?: string;
  /**
   * Gradients that vanish in exact arithmetic: only noise, which is no larger than this share of the largest.
   */
  readonly zero?: readonly string[];
};

const ZERO_SHARE = 1e-5;
// what the file itself has below this share of its largest gradient is noise, too
const NOISE_SHARE = 1e-6;

/** Holds gradients to `grad.<name>` of the file; one that the file lacks must be absent or zero. */
export function checkGradients(
  label: string, golden: Golden, gradients: Gradients, bound: number,
  { prefix = 'grad.', zero = [] }: GradientOptions = {},
): Check[] {
  const stored = new Map(golden.below(prefix).map((name) => [name.split('#')[0]!, name]));
  const missing = [...stored.keys()].filter((name) => !gradients.has(name));
  const extra = [...gradients].filter(([name, values]) => !stored.has(name) && values.some((v) => v !== 0));
  const largest = Math.max(...[...stored.values()].map((name) => maxOf(golden.values(prefix + name))));
  const noise = { bound: ZERO_SHARE * largest, share: 1, limit: ZERO_SHARE * largest };
  return [
    compareList(`${label} gradients`, [...missing, ...extra.map(([name]) => name)], []),
    ...[...stored].filter(([name]) => gradients.has(name)).map(([name, file]) => {
      const got = gradients.get(name)!;
      const vanishes = zero.includes(name) || maxOf(golden.values(prefix + file)) < NOISE_SHARE * largest;
      if (vanishes) return compareElements(`${label} grad.${name}`, got, got.map(() => 0), noise);
      return compare(`${label} grad.${file}`, sampled(got, file), golden.values(prefix + file), bound);
    }),
  ];
}

/** Every K-th element where the name in the file ends in `#everyK`. */
function sampled(values: Float32Array, name: string): Float32Array {
  const every = /#every(\d+)$/.exec(name);
  if (!every) {
    if (name.includes('#')) throw new Error(`verify: "${name}" must be whole or end in #everyK`);
    return values;
  }
  return values.filter((_, i) => i % Number(every[1]) === 0);
}

function maxOf(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
