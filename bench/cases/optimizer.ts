import { expectClose, normals } from '../../src/autograd/gradcheck.ts';
import { lasting, release, type Tensor } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { compile } from '../../src/gpu/executable.ts';
import { keep } from '../../src/gpu/program.ts';
import { adamw } from '../../src/ops/optim/adamw.ts';
import { FLAGS } from '../../src/ops/optim/arena.ts';
import { gradNorm } from '../../src/ops/optim/grad_norm.ts';
import type { BuiltCase, OpCase } from '../support/op_bench.ts';

const LIVE = { lr: 1e-3, correction1: 0.1, correction2: 1e-3 };

/** The gradients' norm, clip and AdamW over as many parameters as Swin-T MTLoRA trains with four tasks. */
export function optimizerCases(all: boolean): OpCase[] {
  return (all ? [2 ** 20, 8_388_608] : [2 ** 20]).map((count) => ({
    name: `norm, clip, AdamW of ${(count / 1e6).toFixed(1)} M`, build: (gpu) => build(gpu, count),
  }));
}

async function build(gpu: Gpu, count: number): Promise<BuiltCase> {
  const random = normals(7);
  const draw = (): Float32Array => Float32Array.from({ length: count }, random);
  const host = { values: draw(), grads: draw(), expAvg: draw(), expAvgSq: draw().map((v) => v * v) };
  const place = (name: keyof typeof host): Tensor => lasting(gpu, name, [count], host[name]);
  const range = {
    values: place('values'), grads: place('grads'), expAvg: place('expAvg'), expAvgSq: place('expAvgSq'),
    flags: lasting(gpu, 'flags', [count / 64], new Uint32Array(count / 64).fill(FLAGS.decay), 'u32'),
  };
  const skipped = lasting(gpu, 'skipped', [1], [0], 'u32');
  const { executable } = await compile(gpu, 'optimizer', () => {
    const norm = gradNorm([range], skipped);
    adamw(range, norm);
    keep(norm);
  });
  executable.run(LIVE);
  const [got] = await executable.read([range.values]);
  expectClose('AdamW', new Float32Array(got!), updated(host), 1e-6);
  return {
    parts: [{ name: 'update', executable, bytes: 4 * count * 8, flops: 16 * count }],
    destroy() {
      executable.destroy();
      for (const tensor of [...Object.values(range), skipped]) release(gpu, tensor);
    },
  };
}

type Host = Readonly<Record<'values' | 'grads' | 'expAvg' | 'expAvgSq', Float32Array>>;

function updated({ values, grads, expAvg, expAvgSq }: Host): Float64Array {
  const norm = Math.sqrt(grads.reduce((sum, g) => sum + g * g, 0));
  const factor = Math.min(1, 5 / (norm + 1e-6));
  return Float64Array.from(values, (value, i) => {
    const g = grads[i]! * factor;
    const m = (0.9 * expAvg[i]! + 0.1 * g) / LIVE.correction1;
    const v = (0.999 * expAvgSq[i]! + 0.001 * g * g) / LIVE.correction2;
    return value * (1 - LIVE.lr * 0.05) - LIVE.lr * m / (Math.sqrt(v) + 1e-8);
  });
}
