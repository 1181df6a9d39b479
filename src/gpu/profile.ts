import { writeFileSync } from 'node:fs';
import type { Gpu } from './device.ts';
import { GpuError } from './errors.ts';
import { encode, type Executable, type Live } from './executable.ts';
import { download } from './transfer.ts';

/** What one launch took. */
export type DispatchTime = {
  /** Its scopes, then its kernel. */
  readonly label: string;
  /** `<file>/<entry>`, and the variant of it that ran. */
  readonly kernel: string;
  readonly variant: string;
  /** Since the start of the program. */
  readonly startMs: number;
  readonly ms: number;
  readonly flops: number;
  readonly bytes: number;
};

/** What all launches of one variant of a kernel took. */
export type KernelTime = {
  readonly kernel: string;
  readonly variant: string;
  readonly calls: number;
  readonly ms: number;
  /** Of the time of all kernels. */
  readonly share: number;
  readonly gflopsPerSecond: number;
  readonly gigabytesPerSecond: number;
};

export type Profile = {
  /** The slowest first. */
  readonly rows: readonly KernelTime[];
  readonly dispatches: readonly DispatchTime[];
  readonly totalMs: number;
};

const PER_SET = 2048;                            // launches: a set holds 4096 timestamps at most

/**
 * Runs a program `repeats` times after a first time that does not count, each launch between two timestamps
 * of the device, and reports the fastest. Changes the same state as so many runs.
 *
 * @throws GpuError where the adapter has no timestamps
 */
export async function profile(
  gpu: Gpu, executable: Executable, live: Live = {}, repeats = 3,
): Promise<Profile> {
  if (!gpu.features.has('timestamp-query')) {
    throw new GpuError(`profile: "${gpu.adapter.name}" has no timestamps (feature timestamp-query)`);
  }
  executable.run(live);
  await gpu.idle();
  const runs: DispatchTime[][] = [];
  for (let i = 0; i < repeats; i++) runs.push(await timed(gpu, executable, live));
  const dispatches = runs.reduce((best, run) => total(run) < total(best) ? run : best);
  return { dispatches, rows: rowsOf(dispatches), totalMs: total(dispatches) };
}

/** The table that `--profile` prints: a line for each of the `most` slowest variants, one for the rest. */
export function formatProfile(rows: readonly KernelTime[], most = 30): string {
  const cells = rows.slice(0, most).map((row) => [
    row.variant === row.kernel.split('/')[0] ? row.kernel : `${row.kernel}  ${row.variant}`,
    ...timeCells(row),
    row.gflopsPerSecond > 0 ? row.gflopsPerSecond.toFixed(1) : '', row.gigabytesPerSecond.toFixed(2),
  ]);
  const rest = rows.slice(most).reduce((sum, { calls, ms, share }) =>
    ({ calls: sum.calls + calls, ms: sum.ms + ms, share: sum.share + share }), { calls: 0, ms: 0, share: 0 });
  if (rest.calls > 0) cells.push([`${rows.length - most} others`, ...timeCells(rest), '', '']);
  const table = [['kernel', 'calls', 'ms', 'share', 'GFLOP/s', 'GB/s'], ...cells];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  return table.map((row) => row.map((cell, column) =>
    column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)).join('  ').trimEnd()).join('\n');
}

const timeCells = ({ calls, ms, share }: Pick<KernelTime, 'calls' | 'ms' | 'share'>): string[] =>
  [String(calls), ms.toFixed(3), `${(100 * share).toFixed(1)} %`];

/** Writes the launches as a Chrome trace, which `chrome://tracing` and ui.perfetto.dev show. */
export function writeChromeTrace(path: string, dispatches: readonly DispatchTime[]): void {
  const traceEvents = dispatches.map(({ label, kernel, variant, startMs, ms, flops, bytes }) => ({
    name: kernel, cat: 'gpu', ph: 'X', pid: 1, tid: 1, ts: 1e3 * startMs, dur: 1e3 * ms,
    args: { scope: label, variant, gflopsPerSecond: rate(flops, ms), gigabytesPerSecond: rate(bytes, ms) },
  }));
  writeFileSync(path, `${JSON.stringify({ displayTimeUnit: 'ms', traceEvents })}\n`);
}

async function timed(gpu: Gpu, executable: Executable, live: Live): Promise<DispatchTime[]> {
  const { device, memory } = gpu;
  const { commands } = executable;
  const bytes = 16 * commands.length;
  const usage = GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC;
  const buffer = memory.alloc('timestamps', bytes, usage);
  const sets: GPUQuerySet[] = [];
  try {
    executable.setLive(live);
    const encoder = device.createCommandEncoder({ label: executable.label });
    for (let from = 0; from < commands.length; from += PER_SET) {
      const some = commands.slice(from, from + PER_SET);
      const querySet = device.createQuerySet({ type: 'timestamp', count: 2 * some.length });
      sets.push(querySet);
      some.forEach((command, i) => {
        const timestampWrites = {
          querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1,
        };
        const pass = encoder.beginComputePass({ label: command.dispatch.label, timestampWrites });
        encode(pass, command);
        pass.end();
      });
      encoder.resolveQuerySet(querySet, 0, 2 * some.length, buffer, 16 * from);
    }
    device.queue.submit([encoder.finish()]);
    gpu.check();
    const [stamps] = await download(gpu, [{ buffer, offset: 0, bytes }]);
    return timesOf(executable, new BigUint64Array(stamps!));
  } finally {
    for (const set of sets) set.destroy();
    memory.free(buffer);
  }
}

function timesOf({ commands }: Executable, stamps: BigUint64Array): DispatchTime[] {
  const since = (i: number): number => Number(BigInt.asIntN(64, stamps[i]! - stamps[0]!)) / 1e6;
  return commands.map(({ dispatch: { label, path, variant, flops, bytes } }, i) => ({
    label, kernel: path, variant, flops, bytes,
    startMs: since(2 * i), ms: Math.max(0, since(2 * i + 1) - since(2 * i)),
  }));
}

function rowsOf(dispatches: readonly DispatchTime[]): KernelTime[] {
  const groups = Map.groupBy(dispatches, ({ kernel, variant }) => `${kernel} ${variant}`);
  const all = total(dispatches);
  return [...groups.values()].map((calls) => {
    const ms = total(calls);
    const sum = (of: 'flops' | 'bytes'): number => calls.reduce((so, call) => so + call[of], 0);
    return {
      kernel: calls[0]!.kernel, variant: calls[0]!.variant, calls: calls.length, ms, share: ms / (all || 1),
      gflopsPerSecond: rate(sum('flops'), ms), gigabytesPerSecond: rate(sum('bytes'), ms),
    };
  }).sort((a, b) => b.ms - a.ms);
}

const total = (times: readonly DispatchTime[]): number => times.reduce((sum, { ms }) => sum + ms, 0);
// 10⁹ of something in a second, of something in so many ms
const rate = (amount: number, ms: number): number => ms > 0 ? amount / ms / 1e6 : 0;
