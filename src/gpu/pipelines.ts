import type { Gpu } from './device.ts';
import { firstSentence, GpuError } from './errors.ts';
import type { Dispatch } from './program.ts';
import { settled } from './wait.ts';
import { placeOfLine, type Binding, type KernelSource } from './wgsl.ts';

export type Pipeline = { readonly pipeline: GPUComputePipeline; readonly layout: GPUBindGroupLayout };

type Cache = {
  readonly modules: Map<string, Promise<GPUShaderModule>>;
  readonly pipelines: Map<string, Promise<Pipeline>>;
};
const BUFFER_TYPES = { uniform: 'uniform', read: 'read-only-storage', read_write: 'storage' } as const;
const caches = new WeakMap<GPUDevice, Cache>();

/** A dispatch's pipeline: compiled once a device for each kernel variant, entry point and set of buffers. */
export function pipelineOf(gpu: Gpu, dispatch: Dispatch): Promise<Pipeline> {
  const { pipelines, modules } = cacheOf(gpu.device);
  const { variant, entry, uses, source } = dispatch;
  const key = `${variant}/${entry}(${uses.map(({ name }) => name).join(',')})`;
  let found = pipelines.get(key);
  if (!found) {
    let module = modules.get(variant);
    if (!module) modules.set(variant, module = compile(gpu, dispatch.label, source));
    found = module.then((compiled) => build(gpu, compiled, dispatch));
    pipelines.set(key, found);
  }
  return found;
}

/** What a dispatch's bind group holds: its buffers, and the uniforms that the kernel declares. */
export function boundBindings({ source, uses }: Dispatch): Binding[] {
  const names = new Set(uses.map(({ name }) => name));
  return [...source.bindings.values()].filter(({ name, access }) => access === 'uniform' || names.has(name));
}

function cacheOf(device: GPUDevice): Cache {
  let cache = caches.get(device);
  if (!cache) caches.set(device, cache = { modules: new Map(), pipelines: new Map() });
  return cache;
}

async function compile({ device }: Gpu, label: string, source: KernelSource): Promise<GPUShaderModule> {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: source.file, code: source.code });
  const scope = device.popErrorScope();
  const info = await settled(module.getCompilationInfo());
  const error = info.messages.find(({ type }) => type === 'error');
  if (error) {
    const place = `${placeOfLine(source, error.lineNum)}:${error.linePos}`;
    const line = source.code.split('\n')[error.lineNum - 1]!.trim();
    throw new GpuError(`${label}: ${place} error: ${firstSentence(error.message)} in "${line}"`);
  }
  const failure = await settled(scope);
  if (failure) throw new GpuError(`${label}: ${source.file}: ${firstSentence(failure.message)}`);
  return module;
}

async function build({ device }: Gpu, module: GPUShaderModule, dispatch: Dispatch): Promise<Pipeline> {
  const { path, entry } = dispatch;
  device.pushErrorScope('validation');
  const layout = device.createBindGroupLayout({
    label: path,
    entries: boundBindings(dispatch).map(({ index, access }) => ({
      binding: index, visibility: GPUShaderStage.COMPUTE, buffer: { type: BUFFER_TYPES[access] },
    })),
  });
  const pending = device.createComputePipelineAsync({
    label: path,
    layout: device.createPipelineLayout({ label: path, bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: entry },
  });
  const scope = device.popErrorScope();
  const [pipeline, failure] = await Promise.allSettled([settled(pending), settled(scope)]);
  if (failure.status === 'fulfilled' && failure.value) throw refused(dispatch, failure.value.message);
  if (pipeline.status === 'rejected') throw refused(dispatch, (pipeline.reason as Error).message);
  return { pipeline: pipeline.value, layout };
}

// a kernel that reads a buffer which its launch does not give, or a workgroup beyond the device's limits
function refused({ label, source }: Dispatch, message: string): GpuError {
  const [, binding] = /declaration for @group\(0\) @binding\((\d+)\)/.exec(message) ?? [];
  const missing = [...source.bindings.values()].find(({ index }) => index === Number(binding));
  const reason = missing && /doesn't exist/.test(message)
    ? `the kernel uses the buffer "${missing.name}", which the launch does not give`
    : firstSentence(message);
  return new GpuError(`${label}: ${source.file}: ${reason}`);
}
