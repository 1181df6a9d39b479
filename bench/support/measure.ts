import type { Gpu } from '../../src/gpu/device.ts';
import { encode, type Command } from '../../src/gpu/executable.ts';
import { settled } from '../../src/gpu/wait.ts';
import { createClock } from './clock.ts';
import { spreadOf, type Spread } from './stats.ts';
import { driverCpuMs } from './threads.ts';

/** One repetition: how long it took, and on-CPU time of those who did the work, where that can be told. */
export type Sample = { readonly wallMs: number; readonly cpuMs: number | null };

/** Something to time. `sample` runs it `times` over and gives the time of one. */
export type Variant = { readonly name: string; readonly sample: (times: number) => Promise<Sample> };

export type Timing = {
  readonly wall: Spread;
  /** On a CPU, over all of the driver's threads; null on a GPU. */
  readonly cpu: Spread | null;
  readonly rounds: number;
};

export type MeasureOptions = {
  /** Rounds over all variants. */
  readonly rounds?: number;
  /** A sample repeats what is shorter than this. */
  readonly sampleMs?: number;
  /** No round begins after this. */
  readonly limitMs?: number;
};

/**
 * Times variants in turns, so that what disturbs the machine disturbs all of them alike: each round starts
 * with another one.
 */
export async function measure(
  variants: readonly Variant[], { rounds = 15, sampleMs = 4, limitMs = 60_000 }: MeasureOptions = {},
): Promise<Timing[]> {
  const times: number[] = [];
  for (const { sample } of variants) {
    await sample(1);                                              // compiles, loads and warms
    const { wallMs } = await sample(1);
    times.push(Math.max(1, Math.min(100, Math.round(sampleMs / wallMs))));
  }
  const samples: Sample[][] = variants.map(() => []);
  const start = performance.now();
  for (let round = 0; round < rounds; round++) {
    if (round >= 3 && performance.now() - start > limitMs) break;
    for (let turn = 0; turn < variants.length; turn++) {
      const v = (round + turn) % variants.length;
      samples[v]!.push(await variants[v]!.sample(times[v]!));
    }
  }
  return samples.map((each) => {
    const cpu = each.map(({ cpuMs }) => cpuMs).filter((ms) => ms !== null);
    return {
      wall: spreadOf(each.map(({ wallMs }) => wallMs)),
      cpu: cpu.length === each.length ? spreadOf(cpu) : null,
      rounds: each.length,
    };
  });
}

/** Commands of a compiled program as something to time, submitted at once and waited for once. */
export function commandsVariant(gpu: Gpu, name: string, commands: readonly Command[]): Variant {
  const clock = gpu.deviceClass === 'gpu' && gpu.features.has('timestamp-query') ? createClock(gpu) : null;
  return {
    name,
    async sample(times) {
      const sample = await timed(gpu, () => {
        const encoder = gpu.device.createCommandEncoder({ label: name });
        const pass = encoder.beginComputePass({ label: name, ...clock?.writes });
        for (let i = 0; i < times; i++) for (const command of commands) encode(pass, command);
        pass.end();
        clock?.resolve(encoder);
        gpu.device.queue.submit([encoder.finish()]);
      });
      const wallMs = (clock ? await clock.readMs() : sample.wallMs) / times;
      return { wallMs, cpuMs: sample.cpuMs === null ? null : sample.cpuMs / times };
    },
  };
}

/** The time from `submit` until all that it submitted is done. */
export async function timed(gpu: Gpu, submit: () => void): Promise<Sample> {
  const before = driverCpuMs();
  const start = performance.now();
  submit();
  await settled(gpu.device.queue.onSubmittedWorkDone());
  const wallMs = performance.now() - start;
  const after = driverCpuMs();
  gpu.check();
  const told = gpu.deviceClass === 'software' && before !== null && after !== null;
  return { wallMs, cpuMs: told ? after - before : null };
}
