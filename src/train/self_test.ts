// Seconds that say whether an adapter computes fast, and rightly.
import { gradcheck, type Definition, type Op } from '../autograd/gradcheck.ts';
import type { Shape } from '../autograd/shape.ts';
import { lasting, release } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import { compile, type Executable } from '../gpu/executable.ts';
import { keep } from '../gpu/program.ts';
import { copyInto } from '../ops/elementwise.ts';
import { layernorm } from '../ops/layernorm.ts';
import { linear } from '../ops/matmul.ts';
import { windowAttention } from '../ops/window_attention.ts';
import {
  ATTENTION, attentionDefinition, layernormDefinition, linearDefinition,
} from './self_test_definitions.ts';

/** What a kernel did at most in a second. */
export type Speed = {
  readonly name: string; readonly value: number; readonly unit: string; readonly of: string;
};

/** Relative errors of an op and of its gradients. */
type Errors = { readonly output: number; readonly gradient: number };

/** How far an op and its gradients were from their definition in f64. */
export type Check = {
  readonly name: string;
  readonly errors: Errors;
  readonly allowed: Errors;
  readonly pass: boolean;
};

/** The largest errors that pass: those of float32 and of stored halves, with room for a driver's own exp. */
const ALLOWED = { f32: { output: 1e-5, gradient: 1e-4 }, f16: { output: 1e-3, gradient: 3e-3 } } as const;

const PRODUCT = { software: [3136, 384, 384], gpu: [4096, 2048, 2048] } as const;
const COPIED_BYTES = { software: 2 ** 25, gpu: 2 ** 27 } as const;

/** A measurement goes on for so long, and counts its fastest part. */
const ROUNDS = 4;
const ROUND_MS = 150;

export async function measureSpeed(gpu: Gpu): Promise<Speed[]> {
  const [m, n, k] = PRODUCT[gpu.deviceClass];
  const bytes = Math.min(COPIED_BYTES[gpu.deviceClass], gpu.limits.maxStorageBufferBindingSize);
  const [a, b] = [lasting(gpu, 'a', [m, k]), lasting(gpu, 'b', [n, k])];
  const [x, y] = [lasting(gpu, 'x', [bytes / 4]), lasting(gpu, 'y', [bytes / 4])];
  try {
    const product = await fastest(gpu, 'matmul', () => keep(linear(a, b, null)));
    const copy = await fastest(gpu, 'copy', () => copyInto(x, y));
    return [
      { name: 'matmul', value: 2 * m * n * k / product / 1e9, unit: 'GFLOP/s', of: `${m}×${k}×${n}` },
      { name: 'copy', value: 2 * bytes / copy / 1e9, unit: 'GB/s', of: `${bytes / 2 ** 20} MiB` },
    ];
  } finally {
    for (const tensor of [a, b, x, y]) release(gpu, tensor);
  }
}

/** @returns seconds of one run */
async function fastest(gpu: Gpu, label: string, body: () => void): Promise<number> {
  const { executable } = await compile(gpu, label, body);
  try {
    await timed(gpu, executable, 1);                              // compiles and warms
    let times = 1;
    let best = Infinity;
    for (let round = 0; round < ROUNDS; round++) {
      const seconds = await timed(gpu, executable, times);
      best = Math.min(best, seconds);
      times = Math.max(1, Math.min(1000, Math.round(ROUND_MS / 1e3 / seconds)));
    }
    return best;
  } finally {
    executable.destroy();
  }
}

async function timed(gpu: Gpu, executable: Executable, times: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < times; i++) executable.run();
  await gpu.idle();
  return (performance.now() - start) / 1e3 / times;
}

/** `halves`: inputs that are stored as f16, where the device can; `fixed`: those that do not train. */
type Checked = {
  readonly op: Op;
  readonly definition: Definition;
  readonly shapes: readonly Shape[];
  readonly halves?: readonly number[];
  readonly fixed?: readonly number[];
};

const MATMUL: Checked = {
  op: (x, w, b) => linear(x!, w!, b!), definition: linearDefinition, shapes: [[196, 384], [192, 384], [192]],
};
const { side, heads, headDim, windowSize } = ATTENTION;

/** Ops of every block, forward and backward, in the form of their kernels that the device runs. */
const CHECKS: Readonly<Record<string, Checked>> = {
  matmul: MATMUL,
  'matmul f16': { ...MATMUL, halves: [0, 1], fixed: [1] },
  layernorm: {
    op: (x, w, b) => layernorm(x!, w!, b!), definition: layernormDefinition, shapes: [[784, 96], [96], [96]],
  },
  attention: {
    op: (qkv, table) => windowAttention(qkv!, table!, ATTENTION), definition: attentionDefinition,
    shapes: [[1, side, side, 3 * heads * headDim], [(2 * windowSize - 1) ** 2, heads]],
  },
};

export async function checkOps(gpu: Gpu, ops: typeof CHECKS = CHECKS): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [name, { op, definition, shapes, halves = [], fixed = [] }] of Object.entries(ops)) {
    if (halves.length > 0 && !gpu.features.has('shader-f16')) continue;
    const allowed = ALLOWED[halves.length > 0 ? 'f16' : 'f32'];
    const errors = await gradcheck(gpu, op, definition, shapes,
      { halves, fixed, tolerance: Infinity, gradTolerance: Infinity });
    const pass = errors.output <= allowed.output && errors.gradient <= allowed.gradient;
    checks.push({ name, errors, allowed, pass });
  }
  return checks;
}
