import { normals } from '../../src/autograd/gradcheck.ts';
import { empty, lasting, release, type Tensor } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { compile } from '../../src/gpu/executable.ts';
import { keep } from '../../src/gpu/program.ts';
import { kernelForm, withKernelForm } from '../../src/ops/kernel_form.ts';
import { forms, gemm } from '../../src/ops/matmul.ts';
import type { OpCase, Part } from '../support/op_bench.ts';

/** Tokens × inputs × outputs of Swin-T's linears at 224² and 448², thin ones of rank 64 and 4 among them. */
const SHAPES = {
  quick: [[3136, 96, 288], [196, 384, 1536]],
  usual: [
    [3136, 96, 288], [3136, 96, 384], [3136, 384, 96], [784, 192, 576], [784, 768, 192], [196, 384, 1536],
    [196, 1536, 384], [49, 768, 3072], [3136, 96, 64], [196, 384, 64], [3136, 384, 4], [512, 512, 512],
  ],
  all: [
    [12544, 96, 288], [12544, 96, 384], [12544, 384, 96], [3136, 192, 768], [784, 384, 1536],
    [196, 768, 3072], [196, 3072, 768], [1024, 1024, 1024],
  ],
} satisfies Record<string, [m: number, k: number, n: number][]>;

export function matmulCases(sizes: readonly (keyof typeof SHAPES)[]): OpCase[] {
  return sizes.flatMap((which): [number, number, number][] => SHAPES[which]).map(([m, k, n]) => ({
    name: `${m}×${k}×${n}`, build: (gpu) => build(gpu, m, k, n),
  }));
}

type Matrices = Readonly<Record<'x' | 'w' | 'dy', Tensor>>;
type Form = { readonly name: string; readonly shape: readonly [number, number]; readonly at: At } & {
  readonly run: (of: Matrices, out: Tensor) => void;
};
type At = (host: Record<'x' | 'w' | 'dy', Float32Array>, row: number, column: number) => number;

function formsOf(m: number, k: number, n: number): Form[] {
  const of = forms(m, n, k);
  return [
    {
      name: 'X·Wᵀ', shape: [m, n], run: ({ x, w }, y) => gemm(of.forward(x, w, y)),
      at: ({ x, w }, r, c) => sumOver(k, (i) => x[r * k + i]! * w[c * k + i]!),
    },
    {
      name: 'dY·W', shape: [m, k], run: ({ dy, w }, dx) => gemm(of.input(dy, w, dx)),
      at: ({ dy, w }, r, c) => sumOver(n, (i) => dy[r * n + i]! * w[i * k + c]!),
    },
    {
      name: 'dYᵀ·X', shape: [n, k], run: ({ dy, x }, dw) => gemm(of.weight(dy, x, dw)),
      at: ({ dy, x }, r, c) => sumOver(m, (i) => dy[i * n + r]! * x[i * k + c]!),
    },
  ];
}

async function build(gpu: Gpu, m: number, k: number, n: number): Promise<{ parts: Part[]; destroy(): void }> {
  const random = normals(4);
  const draw = (length: number): Float32Array => Float32Array.from({ length }, random);
  const host = { x: draw(m * k), w: draw(n * k), dy: draw(m * n) };
  const tensors = {
    x: lasting(gpu, 'x', [m, k], host.x), w: lasting(gpu, 'w', [n, k], host.w),
    dy: lasting(gpu, 'dy', [m, n], host.dy),
  };
  const parts: Part[] = [];
  for (const { name, shape, run, at } of formsOf(m, k, n)) {
    for (const form of new Set([kernelForm(gpu), 'plain' as const])) {
      const { executable, result } = await compile(gpu, name, () => withKernelForm(form, () => {
        const out = empty(shape, name);
        run(tensors, out);
        keep(out);
        return out;
      }));
      executable.run();
      const got = new Float32Array((await executable.read([result]))[0]!);
      hold(name, got, shape, (r, c) => at(host, r, c));
      const bytes = 4 * (m * k + n * k + m * n);
      const label = form === 'plain' ? `plain: ${name}` : name;
      parts.push({ name: label, executable, flops: 2 * m * n * k, bytes });
    }
  }
  return {
    parts,
    destroy() {
      for (const { executable } of parts) executable.destroy();
      for (const tensor of Object.values(tensors)) release(gpu, tensor);
    },
  };
}

/** @throws Error where one of some values all over the matrix, corners among them, is wrong */
function hold(
  name: string, got: Float32Array, [rows, columns]: readonly [number, number],
  want: (r: number, c: number) => number,
): void {
  const places = Array.from({ length: 64 }, (_, i) =>
    [Math.floor(i / 63 * (rows - 1)), Math.floor(i * 0.618034 % 1 * columns)] as const);
  const all = [...places, [0, columns - 1], [rows - 1, 0], [rows - 1, columns - 1]] as [number, number][];
  const wanted = all.map(([r, c]) => want(r, c));
  const size = Math.sqrt(wanted.reduce((sum, value) => sum + value * value, 0) / wanted.length);
  all.forEach(([r, c], i) => {
    const value = got[r * columns + c]!;
    if (Math.abs(value - wanted[i]!) < 1e-4 * size) return;
    throw new Error(`${name}: [${r}, ${c}] must be ${wanted[i]}, got ${value}`);
  });
}

function sumOver(count: number, term: (i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) sum += term(i);
  return sum;
}
