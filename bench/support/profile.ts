import type { Gpu } from '../../src/gpu/device.ts';
import { encode, type Executable } from '../../src/gpu/executable.ts';
import { profile as clockProfile } from '../../src/gpu/profile.ts';
import { timed } from './measure.ts';
import { sum } from './stats.ts';

/** A launch of a program: by the device's clock within the whole, and on a CPU when it runs alone. */
export type Launched = {
  /** `<file>/<entry>` */
  readonly kernel: string;
  /** Part of the model, outermost first. */
  readonly scopes: readonly string[];
  readonly ms: number;
  readonly cpuMs: number | null;
  readonly flops: number;
  readonly bytes: number;
};

export type Profile = {
  readonly launches: readonly Launched[];
  /** Of the device's time from the first kernel to the last, what lies inside of kernels. */
  readonly insideKernels: number;
};

/** Runs a program `rounds` times, and on software devices each launch alone too; changes its state. */
export async function profile(gpu: Gpu, executable: Executable, rounds: number): Promise<Profile> {
  const { dispatches, totalMs } = await clockProfile(gpu, executable, {}, rounds);
  const { startMs, ms } = dispatches.at(-1)!;
  const cpu = gpu.deviceClass === 'software' ? await aloneOnCpu(gpu, executable, rounds) : [];
  const launches = dispatches.map(({ kernel, label, ms, flops, bytes }, i): Launched => ({
    kernel, scopes: label.split(' ').slice(0, -1), ms, cpuMs: cpu[i] ?? null, flops, bytes,
  }));
  return { launches, insideKernels: totalMs / (startMs + ms) };
}

async function aloneOnCpu(gpu: Gpu, { commands }: Executable, rounds: number): Promise<number[]> {
  const least = commands.map(() => Infinity);
  for (let round = 0; round < rounds; round++) {
    for (const [i, command] of commands.entries()) {
      const { cpuMs } = await timed(gpu, () => {
        const encoder = gpu.device.createCommandEncoder({ label: command.dispatch.label });
        const pass = encoder.beginComputePass({ label: command.dispatch.label });
        encode(pass, command);
        pass.end();
        gpu.device.queue.submit([encoder.finish()]);
      });
      if (cpuMs === null) return [];
      least[i] = Math.min(least[i]!, cpuMs);
    }
  }
  return least;
}

export type Group = { readonly name: string } & Readonly<
  Record<'count' | 'cost' | 'share' | 'flops' | 'bytes', number>
>;

/** What a launch costs: what does not depend on the load, where there is such a number. */
export const costOf = ({ ms, cpuMs }: Launched): number => cpuMs ?? ms;

/** Costs summed by a name, the largest first. */
export function groupBy(launches: readonly Launched[], name: (launch: Launched) => string): Group[] {
  const total = sum(launches.map(costOf));
  return [...Map.groupBy(launches, name)].map(([key, some]) => {
    const cost = sum(some.map(costOf));
    const flops = sum(some.map((launch) => launch.flops));
    const bytes = sum(some.map((launch) => launch.bytes));
    return { name: key, count: some.length, cost, share: cost / total, flops, bytes };
  }).sort((a, b) => b.cost - a.cost);
}

/** A launch's place in the model, blocks of a stage together. */
export function siteOf({ scopes }: Launched): string {
  return scopes.map((scope) => scope.replace(/^blocks\.\d+$/, 'blocks.*')).join(' ') || 'program';
}
