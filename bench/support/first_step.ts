import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openGpu } from '../../src/gpu/device.ts';
import { buildStep, type Case } from './model.ts';
import { short, type Result } from './report.ts';

/** Time from a process's start to the end of its first step, without and with what the driver has cached. */
export async function firstSteps(each: Case, name: string): Promise<Result[]> {
  const cache = mkdtempSync(join(tmpdir(), 'mtlora-shaders-'));
  try {
    return ['cold', 'warm'].map((state) => {
      const env = { ...process.env, MESA_SHADER_CACHE_DIR: cache, __GL_SHADER_DISK_CACHE_PATH: cache };
      const start = performance.now();
      const args = [import.meta.filename, JSON.stringify(each)];
      const answer = execFileSync(process.execPath, args, {
        env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'],
      });
      const ms = performance.now() - start;
      const { compileMs } = JSON.parse(answer.trim().split('\n').at(-1)!) as { compileMs: number };
      const [all, compiling] = [ms, compileMs].map((each) => short(each / 1e3));
      console.log(`${name}: first step after ${all} s, ${state} cache (${compiling} s to compile)`);
      return {
        bench: 'first step', name, variant: `${state} cache`, minMs: ms, medianMs: ms, spread: 0, cpuMs: null,
        more: { compileMs },
      };
    });
  } finally {
    rmSync(cache, { recursive: true });
  }
}

if (process.argv[1] === import.meta.filename) {
  const gpu = await openGpu();
  const start = performance.now();
  const built = await buildStep(gpu, JSON.parse(process.argv[2]!) as Case);
  const compileMs = performance.now() - start;
  built.run();
  await built.step.report();
  console.log(JSON.stringify({ compileMs }));
  gpu.close();
}
