// The ways to run the adapted layer in this engine: fused, as separate ops, naive; and the plain linear.
import { backward } from '../../src/autograd/tape.ts';
import { lasting, release, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { compile, type Executable } from '../../src/gpu/executable.ts';
import { keep } from '../../src/gpu/program.ts';
import { add, scale } from '../../src/ops/elementwise.ts';
import { withKernelForm } from '../../src/ops/kernel_form.ts';
import { linear } from '../../src/ops/matmul.ts';
import { mtloraLinear } from '../../src/ops/mtlora_linear.ts';
import { ranksOf, SCALE, type HostInputs, type LoraCase } from './lora_case.ts';

/** A compiled run and where its results lie: each of one tensor or of several, one after another. */
export type Run = {
  readonly executable: Executable;
  readonly results: Readonly<Record<string, readonly Tensor[]>>;
};

export type EngineVariant = {
  readonly name: string;
  /** Whether it computes what the layer does, and so can be checked. */
  readonly whole: boolean;
  readonly forward: Run;
  readonly both: Run;
};

/** A differentiable function of tensors that are trained, with its outputs' upstream gradients. */
type Layer = {
  /** By the name of their gradient. */
  readonly inputs: Readonly<Record<string, readonly Tensor[]>>;
  readonly outputs: () => readonly Tensor[];
  readonly dys: readonly Tensor[];
};

export type Built = { readonly variants: readonly EngineVariant[]; destroy(): void };

export async function buildVariants(gpu: Gpu, each: LoraCase, inputs: HostInputs): Promise<Built> {
  const owned: Tensor[] = [];
  const place = (name: string, shape: readonly number[], data: Float32Array): Tensor => {
    const tensor = lasting(gpu, name, shape, data);
    owned.push(tensor);
    return tensor;
  };
  const whole = fused(each, inputs, place);
  const layers = {
    fused: whole, separate: separate(each, inputs, place), plain: plain(each, inputs, place), naive: whole,
  };
  const variants: EngineVariant[] = [];
  for (const [name, layer] of Object.entries(layers)) {
    const form = <T>(body: () => T): T => name === 'naive' ? withKernelForm('plain', body) : body();
    variants.push({
      name, whole: name !== 'plain',
      forward: await compileForward(gpu, layer, form), both: await compileBoth(gpu, layer, form),
    });
  }
  return {
    variants,
    destroy() {
      const runs = variants.flatMap(({ forward, both }) => [forward, both]);
      for (const { executable } of runs) executable.destroy();
      for (const tensor of owned) release(gpu, tensor);
    },
  };
}

type Form = <T>(body: () => T) => T;

async function compileForward(gpu: Gpu, { outputs }: Layer, form: Form): Promise<Run> {
  const { executable, result } = await compile(gpu, 'forward', () => form(() => {
    const y = outputs();
    keep(...y);
    return y;
  }));
  return { executable, results: { y: result } };
}

async function compileBoth(gpu: Gpu, { outputs, dys, inputs }: Layer, form: Form): Promise<Run> {
  const { executable, result } = await compile(gpu, 'forward and backward', () => form(() => {
    const y = outputs();
    const found = backward(y.map((each, i) => [each, dys[i]!] as const));
    const gradients = Object.entries(inputs).map(([name, of]) => [name, of.map((x) => found.get(x)!)]);
    const results: Record<string, readonly Tensor[]> = { y, ...Object.fromEntries(gradients) };
    keep(...Object.values(results).flat());
    return results;
  }));
  return { executable, results: result };
}

type Place = (name: string, shape: readonly number[], data: Float32Array) => Tensor;

function fused(each: LoraCase, inputs: HostInputs, place: Place): Layer {
  const { m, k, n, own } = each;
  const ranks = ranksOf(each);
  const rank = ranks.reduce((a, b) => a + b);
  const x = trainable(place('x', [own ? ranks.length : 1, m, k], inputs.x));
  const a = trainable(place('a', [rank, k], inputs.a));
  const bt = trainable(place('bt', [rank, n], inputs.bt));
  const [w, bias] = [place('w', [n, k], inputs.w), place('bias', [n], inputs.bias)];
  const options = { ranks, scales: ranks.map(() => SCALE) };
  return {
    inputs: { dx: [x], da: [a], dbt: [bt] },
    outputs: () => [mtloraLinear(x, null, { w, bias, a, bt }, options)],
    dys: [place('dy', [ranks.length, m, n], inputs.dy)],
  };
}

/** The same of ops that each do one thing, B as [n, r] in PyTorch's layout. */
function separate(each: LoraCase, inputs: HostInputs, place: Place): Layer {
  const { m, k, n, own } = each;
  const ranks = ranksOf(each);
  const at = ranks.map((_, g) => ranks.slice(0, g).reduce((a, b) => a + b, 0));
  const rows = (name: 'x' | 'a' | 'dy', from: number, count: number, width: number): Tensor =>
    place(name, [count, width], inputs[name].slice(from * width, (from + count) * width));
  const x = ranks.slice(0, own ? ranks.length : 1).map((_, g) => trainable(rows('x', g * m, m, k)));
  const a = ranks.map((rank, g) => trainable(rows('a', at[g]!, rank, k)));
  const b = ranks.map((rank, g) => {
    const turned = Float32Array.from({ length: n * rank }, (_, i) =>
      inputs.bt[(at[g]! + i % rank) * n + Math.floor(i / rank)]!);
    return trainable(place('b', [n, rank], turned));
  });
  const [w, bias] = [place('w', [n, k], inputs.w), place('bias', [n], inputs.bias)];
  return {
    inputs: { dx: x, da: a, db: b },
    outputs() {
      const base = linear(x[0]!, w, bias);
      return ranks.map((_, g) => {
        const low = linear(linear(x[own ? g : 0]!, a[g]!, null), b[g]!, null);
        return add(base, scale(low, SCALE));
      });
    },
    dys: ranks.map((_, g) => rows('dy', g * m, m, n)),
  };
}

/** The frozen linear alone: what any adaptation of it costs at least. */
function plain({ m, k, n }: LoraCase, inputs: HostInputs, place: Place): Layer {
  const x = trainable(place('x', [m, k], inputs.x.slice(0, m * k)));
  const [w, bias] = [place('w', [n, k], inputs.w), place('bias', [n], inputs.bias)];
  return {
    inputs: { dx: [x] },
    outputs: () => [linear(x, w, bias)],
    dys: [place('dy', [m, n], inputs.dy.slice(0, m * n))],
  };
}
