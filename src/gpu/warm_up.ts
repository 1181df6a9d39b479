// lavapipe compiles a kernel when it is first launched, on the one thread of a device's queue. So a program's
// kernels are launched without workgroups beforehand, shared out over as many devices as there are cores, and
// Mesa's cache on disk hands what the others compiled to the device that runs the program.
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { openGpu, type Gpu } from './device.ts';
import { boundBindings, pipelineOf } from './pipelines.ts';
import type { Dispatch } from './program.ts';
import { settled } from './wait.ts';

/** For fewer kernels another device is not worth its start. */
const FEWEST = 12;
/** At least what any kernel declares of a buffer of fixed size. */
const BUFFER_BYTES = 65536;

/**
 * Compiles a program's kernels on all cores, if the driver is lavapipe and its cache has not seen them.
 * What it has seen is listed in a file beside the cache's own, which goes where the cache goes.
 */
export async function warmUp(gpu: Gpu, dispatches: readonly Dispatch[]): Promise<void> {
  const folder = cacheOfMesa(gpu);
  if (folder === null) return;
  const list = join(folder, 'mtlora_compiled');
  const known = new Set(existsSync(list) ? readFileSync(list, 'utf8').split('\n') : []);
  const fresh = new Map(dispatches.map((dispatch) => [keyOf(gpu, dispatch), dispatch]));
  for (const key of known) fresh.delete(key);
  if (fresh.size < FEWEST) return;

  // the longest first, which are taken from the end
  const queue = [...fresh.values()].sort((a, b) => a.source.code.length - b.source.code.length);
  const spares = await Promise.all(Array.from(
    { length: availableParallelism() - 1 }, () => openGpu({ device: gpu.adapter.name, unchecked: true }),
  ));
  try {
    await Promise.all([gpu, ...spares].map((each) => compileFrom(queue, each)));
  } finally {
    for (const spare of spares) spare.close();
  }
  appendFileSync(list, [...fresh.keys(), ''].join('\n'));
}

/** The folder of Mesa's shader cache, which opening a device makes; null where the driver keeps none. */
export function cacheOfMesa({ adapter }: Pick<Gpu, 'adapter'>, env = process.env): string | null {
  if (!/llvmpipe/i.test(adapter.name) || env.MESA_SHADER_CACHE_DISABLE === 'true') return null;
  const parent = env.MESA_SHADER_CACHE_DIR ?? env.XDG_CACHE_HOME ?? (env.HOME && join(env.HOME, '.cache'));
  if (!parent) return null;
  const folders = ['mesa_shader_cache_db', 'mesa_shader_cache'].map((name) => join(parent, name));
  return folders.find((folder) => existsSync(folder)) ?? null;
}

function keyOf({ adapter }: Gpu, { source, entry, uses }: Dispatch): string {
  const parts = [adapter.driver, source.code, entry, ...uses.map(({ name }) => name)];
  return createHash('sha256').update(parts.join('\0')).digest('hex');
}

async function compileFrom(queue: Dispatch[], gpu: Gpu): Promise<void> {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.UNIFORM | GPUBufferUsage.INDIRECT;
  const buffers: GPUBuffer[] = [];
  const buffer = (i: number): GPUBuffer => buffers[i] ??= gpu.memory.alloc('warm-up', BUFFER_BYTES, usage);
  const { device } = gpu;
  for (let dispatch = queue.pop(); dispatch; dispatch = queue.pop()) {
    const { pipeline, layout } = await pipelineOf(gpu, dispatch);
    const entries = boundBindings(dispatch).map(({ index }) => ({
      binding: index, resource: { buffer: buffer(index + 1) },
    }));
    const encoder = device.createCommandEncoder({ label: 'warm-up' });
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ label: dispatch.label, layout, entries }));
    pass.dispatchWorkgroupsIndirect(buffer(0), 0);          // zeros: the driver compiles and launches nothing
    pass.end();
    device.queue.submit([encoder.finish()]);
    await settled(device.queue.onSubmittedWorkDone());
    gpu.check();
  }
  for (const each of buffers) if (each) gpu.memory.free(each);
}
