import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openGpu } from '../../src/gpu/device.ts';
import { buildStep, type Case } from './model.ts';
import { short, type Result } from './report.ts';

/**
 * Time from a process's start to the end of its first step, kernels compiled and checked, without and with
 * what earlier processes have left in the caches.
 */
export async function firstSteps(each: Case, name: string): Promise<Result[]> {
  const cache = mkdtempSync(join(tmpdir(), 'mtlora-shaders-'));
  try {
    return ['cold', 'warm'].map((state) => {
      const env = { ...process.env, MESA_SHADER_CACHE_DIR: cache, __GL_SHADER_DISK_CACHE_PATH: cache };
      const start = performance.now();
      const args = [import.meta.filename, JSON.stringify(each), cache];
      const answer = execFileSync(process.execPath, args, {
        env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'],
      });
      const ms = performance.now() - start;
      const { cpuMs } = JSON.parse(answer.trim().split('\n').at(-1)!) as { cpuMs: number };
      const [all, onCpu] = [ms, cpuMs].map((each) => short(each / 1e3));
      console.log(`${name}: first step after ${all} s, ${state} cache (${onCpu} s on a CPU)`);
      return {
        bench: 'first step', name, variant: `${state} cache`, minMs: ms, medianMs: ms, spread: 0, cpuMs,
      };
    });
  } finally {
    rmSync(cache, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const gpu = await openGpu({ cache: process.argv[3]! });
  const built = await buildStep(gpu, JSON.parse(process.argv[2]!) as Case);
  built.run();
  await built.step.report();
  const { user, system } = process.cpuUsage();
  console.log(JSON.stringify({ cpuMs: (user + system) / 1e3 }));
  gpu.close();
}
