import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { openGpu, type Gpu } from '../../src/gpu/device.ts';

/** What a result was measured on. */
export type Machine = {
  readonly date: string;
  readonly commit: string;
  readonly adapter: string;
  readonly driver: string;
  readonly deviceClass: string;
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  /** Processes that wanted a core when the run began and ended; more than `cores` means a busy machine. */
  readonly load: number[];
};

export const ROOT = join(import.meta.dirname, '../..');

export async function openBench(device?: string): Promise<{ gpu: Gpu; machine: Machine }> {
  const gpu = await openGpu({ device, unchecked: true });
  return { gpu, machine: describe(gpu) };
}

/** Cores that a software driver shares its work among. */
export const cores = availableParallelism();

function describe({ adapter, deviceClass }: Gpu): Machine {
  return {
    date: new Date().toISOString().slice(0, 10), commit: commitOf(),
    adapter: adapter.name, driver: adapter.driver, deviceClass,
    cpu: cpus()[0]?.model.trim() ?? 'unknown', cores, node: process.version, load: [loadavg()[0]!],
  };
}

function commitOf(): string {
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no', 'src', 'kernels') !== '';
    return git('rev-parse', '--short', 'HEAD') + (changed ? ' with changes' : '');
  } catch {
    return 'unknown';
  }
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
}
