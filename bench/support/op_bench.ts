// Benches of single ops: a case is checked, compiled in this device's form and in the plain one, and timed.
import { gradcheck, normals, type Definition, type GradcheckOptions } from '../../src/autograd/gradcheck.ts';
import { size, type Shape } from '../../src/autograd/shape.ts';
import { backward } from '../../src/autograd/tape.ts';
import { lasting, release, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { compile, type Executable } from '../../src/gpu/executable.ts';
import { keep } from '../../src/gpu/program.ts';
import { kernelForm, withKernelForm } from '../../src/ops/kernel_form.ts';
import { commandsVariant, measure, type MeasureOptions } from './measure.ts';
import { idleMs, type Peaks } from './peaks.ts';
import { percent, resultOf, short, table, type Result } from './report.ts';

/** What is timed of a case. */
export type Part = {
  readonly name: string;
  readonly executable: Executable;
  readonly flops?: number;
  /** What must be moved at least. */
  readonly bytes?: number;
};

export type BuiltCase = { readonly parts: readonly Part[]; destroy(): void };

export type OpCase = {
  readonly name: string;
  /** Holds the op to its definition and compiles what is to be timed. @throws Error where it is wrong */
  readonly build: (gpu: Gpu) => Promise<BuiltCase>;
};

/** A differentiable op at one shape. */
export type Differentiable = {
  readonly name: string;
  readonly shapes: readonly Shape[];
  readonly op: (...inputs: Tensor[]) => Tensor | readonly Tensor[];
  /** In f64; without one, the plain form stands for it. */
  readonly definition: Definition | null;
  readonly options?: GradcheckOptions;
  /** Operations of the forward pass and of both. */
  readonly flops?: readonly [number, number];
};

/** Forward, and forward with backward, in the device's form and in the plain one. */
export function differentiable(each: Differentiable): OpCase {
  const { name, shapes, op, definition, options = {}, flops } = each;
  return {
    name,
    async build(gpu) {
      const bounds = { tolerance: 1e-5, gradTolerance: 1e-4, ...options };
      if (definition) await gradcheck(gpu, op, definition, shapes, bounds);
      const inputs = inputsOf(gpu, each);
      const parts: Part[] = [];
      const lent: Tensor[] = [];
      for (const form of new Set([kernelForm(gpu), 'plain' as const])) {
        const passes = await withKernelFormAsync(form, () => passesOf(gpu, op, inputs, lent));
        const label = form === 'plain' ? 'plain: ' : '';
        if (parts.length > 0 && sameKernels(parts.map(({ executable }) => executable), passes)) {
          for (const { executable } of passes) executable.destroy();
          continue;
        }
        passes.forEach(({ executable, bytes }, i) => {
          const direction = i === 0 ? 'forward' : 'forward and backward';
          parts.push({ name: label + direction, executable, bytes, ...flops && { flops: flops[i]! } });
        });
      }
      return {
        parts,
        destroy() {
          for (const { executable } of parts) executable.destroy();
          for (const tensor of [...inputs, ...lent]) release(gpu, tensor);
        },
      };
    },
  };
}

/** Whether an op has one form only. */
function sameKernels(some: readonly Executable[], others: readonly Pass[]): boolean {
  const kernels = ({ commands }: Executable): string =>
    commands.map(({ dispatch }) => dispatch.variant).join();
  return some.every((each, i) => kernels(each) === kernels(others[i]!.executable));
}

function inputsOf(gpu: Gpu, { shapes, options }: Differentiable): Tensor[] {
  const random = normals(5);
  return shapes.map((shape, i) => {
    const data = options?.values?.[i] ?? Float32Array.from({ length: size(shape) }, random);
    const tensor = lasting(gpu, `input ${i}`, shape, data);
    return options?.fixed?.includes(i) ? tensor : trainable(tensor);
  });
}

// tracing is synchronous, so the form holds for all that `body` traces before it first waits
const withKernelFormAsync = <T>(form: 'plain' | 'panel' | 'tile', body: () => Promise<T>): Promise<T> =>
  withKernelForm(form, body);

type Pass = { readonly executable: Executable; readonly bytes: number };

async function passesOf(
  gpu: Gpu, op: Differentiable['op'], inputs: readonly Tensor[], lent: Tensor[],
): Promise<Pass[]> {
  const list = (y: Tensor | readonly Tensor[]): readonly Tensor[] => Array.isArray(y) ? y : [y as Tensor];
  const random = normals(6);
  const bytesOf = (tensors: readonly Tensor[]): number => tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  const forward = compile(gpu, 'forward', () => {
    const y = list(op(...inputs));
    keep(...y);
    return y;
  });
  const both = compile(gpu, 'forward and backward', () => {
    const y = list(op(...inputs));
    const dys = y.map(({ shape }) => {
      const dy = lasting(gpu, 'dy', shape, Float32Array.from({ length: size(shape) }, random));
      lent.push(dy);
      return dy;
    });
    const found = backward(y.map((each, i) => [each, dys[i]!] as const));
    const gradients = inputs.flatMap((x) => found.get(x) ?? []);
    keep(...y, ...gradients);
    return { y, gradients };
  });
  const [one, two] = [await forward, await both];
  const moved = bytesOf([...inputs, ...one.result]);
  return [
    { executable: one.executable, bytes: moved },
    { executable: two.executable, bytes: moved + bytesOf([...two.result.y, ...two.result.gradients]) },
  ];
}

/** Builds, times and prints a case. */
export async function runOp(
  gpu: Gpu, bench: string, { name, build }: OpCase, peaks: Peaks, options: MeasureOptions,
): Promise<Result[]> {
  const { parts, destroy } = await build(gpu);
  const variants = parts.map((part) => commandsVariant(gpu, part.name, part.executable.commands));
  const timings = await measure(variants, options);
  destroy();
  const results = parts.map(({ name: variant, flops, bytes }, i) =>
    resultOf(bench, name, variant, timings[i]!, { ...flops && { flops }, ...bytes && { bytes } }));
  const software = timings.some(({ cpu }) => cpu !== null);
  const rates = ['GFLOP/s', 'of peak', 'GB/s', 'of copy'];
  const header = [name, 'ms', 'median', '±', ...software ? ['if idle'] : [], ...rates];
  console.log(`\n${table(header, results.map(({ variant, minMs, medianMs, spread, flops, bytes }, i) => {
    const idle = idleMs(timings[i]!);
    const [work, traffic] = [flops, bytes].map((amount) => amount === undefined ? null : amount / idle / 1e6);
    return [
      variant, short(minMs), short(medianMs), percent(spread), ...software ? [short(idle)] : [],
      ...rate(work!, peaks.gflops), ...rate(traffic!, peaks.gbs),
    ];
  }))}`);
  return results;
}

const rate = (value: number | null, peak: number): string[] =>
  value === null ? ['', ''] : [short(value), percent(value / peak)];
