import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { empty, lasting, release, type Tensor } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { compile } from '../../src/gpu/executable.ts';
import { dispatch, keep } from '../../src/gpu/program.ts';
import { copyInto } from '../../src/ops/elementwise.ts';
import { linear } from '../../src/ops/matmul.ts';
import { cores } from './machine.ts';
import { commandsVariant, measure, type MeasureOptions, type Timing } from './measure.ts';
import { short } from './report.ts';

/** What the device did at most, in this run: what shares are of. On software, had it nothing else to do. */
export type Peaks = {
  /** Multiplications and additions out of registers. */
  readonly gflops: number;
  /** A copy far beyond the caches, reading and writing counted. */
  readonly gbs: number;
  /** The engine's matmul at a shape that suits it. */
  readonly matmulGflops: number;
};

const MATMUL = { software: [3136, 384, 384], gpu: [8192, 4096, 4096] } as const;
// as in peak.wgsl: twelve chains of eight links, two operations each
const FLOPS_A_STEP = 192;
const COPY_BYTES = { software: 2 ** 25, gpu: 2 ** 28 } as const;

export async function measurePeaks(gpu: Gpu, options: MeasureOptions = {}): Promise<Peaks> {
  const bytes = Math.min(COPY_BYTES[gpu.deviceClass], gpu.limits.maxStorageBufferBindingSize);
  const [m, n, k] = MATMUL[gpu.deviceClass];
  const x = lasting(gpu, 'x', [bytes / 4]);
  const to = lasting(gpu, 'y', [bytes / 4]);
  const [a, b] = [lasting(gpu, 'a', [m, k]), lasting(gpu, 'b', [n, k])];
  const threads = gpu.deviceClass === 'software' ? 4096 : 2 ** 20;
  const steps = gpu.deviceClass === 'software' ? 1024 : 256;
  const bodies = {
    multiply_add: () => arithmetic('multiply_add', threads, steps),
    fused: () => arithmetic('fused', threads, steps),
    copy: () => copyInto(x, to),
    copy_runs: () => copyRuns(gpu, x, to),
    matmul: () => keep(linear(a, b, null)),
  };
  const programs = await Promise.all(Object.entries(bodies).map(([name, body]) => compile(gpu, name, body)));
  const variants = programs.map(({ executable: { label, commands } }) =>
    commandsVariant(gpu, label, commands));
  const timings = await measure(variants, { rounds: 8, ...options });
  for (const { executable } of programs) executable.destroy();
  for (const tensor of [x, to, a, b]) release(gpu, tensor);
  const [multiplied, fused, copied, inRuns, product] = timings.map(idleMs) as Five;
  const peaks = {
    gflops: FLOPS_A_STEP * threads * steps / Math.min(multiplied, fused) / 1e6,
    gbs: 2 * bytes / Math.min(copied, inRuns) / 1e6,
    matmulGflops: 2 * m * n * k / product / 1e6,
  };
  console.log([
    `peak: ${short(peaks.gflops)} GFLOP/s out of registers`,
    `${short(peaks.matmulGflops)} in the engine's matmul (${m}×${k}×${n})`,
    `${short(peaks.gbs)} GB/s copying ${bytes / 2 ** 20} MiB`,
  ].join(', '));
  return peaks;
}

/**
 * The least time of a run; on software, what its work takes where all cores do nothing else. Waiting for a
 * slower core is not in it, so it flatters kernels of few workgroups.
 */
export function idleMs({ wall, cpu }: Timing): number {
  return cpu ? cpu.min / cores : wall.min;
}

const code = (): string => readFileSync(join(import.meta.dirname, 'peak.wgsl'), 'utf8');

type Five = [number, number, number, number, number];

// few workgroups on software, many on a GPU
function copyRuns({ deviceClass }: Gpu, from: Tensor, to: Tensor): void {
  const WG = deviceClass === 'software' ? 8 : 256;
  const steps = deviceClass === 'software' ? 4096 : 4;
  const workgroups = from.bytes / 16 / WG / steps;
  const params = { steps, x: 0, add: 0 };
  const launch = { generated: { key: 'peak', code }, workgroups, params, tuning: { WG } };
  dispatch('peak/copy', { source: from, copied: to }, launch);
}

function arithmetic(entry: string, threads: number, steps: number): void {
  const y = empty([threads], 'peak');
  const params = { steps, x: 0.5, add: 1 };
  dispatch(`peak/${entry}`, { y }, { generated: { key: 'peak', code }, threads, params });
  keep(y);
}
