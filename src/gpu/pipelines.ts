import type { Gpu } from './device.ts';
import { GpuError } from './errors.ts';
import type { Dispatch } from './program.ts';
import { settled } from './wait.ts';
import type { Binding, KernelSource } from './wgsl.ts';

export type Pipeline = { readonly pipeline: GPUComputePipeline; readonly layout: GPUBindGroupLayout };

type Cache = { modules: Map<string, Promise<GPUShaderModule>>; pipelines: Map<string, Promise<Pipeline>> };
const caches = new WeakMap<GPUDevice, Cache>();

/** The pipeline of a dispatch: compiled once a device for each kernel variant, entry point and set of buffers. */
export function pipelineOf(gpu: Gpu, dispatch: Dispatch): Promise<Pipeline> {
  const { pipelines, modules } = cacheOf(gpu.device);
  const { variant, entry, uses, source } = dispatch;
  const key = `${variant}/${entry}(${uses.map(({ name }) => name).join(',')})`;
  let found = pipelines.get(key);
  if (!found) {
    let module = modules.get(variant);
    if (!module) modules.set(variant, module = compile(gpu, source));
    found = module.then((compiled) => build(gpu, compiled, dispatch));
    pipelines.set(key, found);
  }
  return found;
}

/** The bindings that a dispatch's bind group holds: its buffers, and the uniforms that the kernel declares. */
export function boundBindings({ source, uses }: Dispatch): Binding[] {
  const names = new Set(uses.map(({ name }) => name));
  return [...source.bindings.values()].filter(({ name, access }) => access === 'uniform' || names.has(name));
}

function cacheOf(device: GPUDevice): Cache {
  let cache = caches.get(device);
  if (!cache) caches.set(device, cache = { modules: new Map(), pipelines: new Map() });
  return cache;
}

async function compile({ device }: Gpu, { file, code }: KernelSource): Promise<GPUShaderModule> {
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: file, code });
  const scope = device.popErrorScope();
  const info = await settled(module.getCompilationInfo());
  const error = info.messages.find(({ type }) => type === 'error');
  if (error) throw new GpuError(`${file}:${error.lineNum}:${error.linePos} error: ${error.message}`);
  const failure = await settled(scope);
  if (failure) throw new GpuError(`${file}: ${failure.message}`);
  return module;
}

async function build({ device }: Gpu, module: GPUShaderModule, dispatch: Dispatch): Promise<Pipeline> {
  const { path, entry } = dispatch;
  device.pushErrorScope('validation');
  const layout = device.createBindGroupLayout({
    label: path,
    entries: boundBindings(dispatch).map(({ index, access }) => ({
      binding: index,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: access === 'uniform' ? 'uniform' : access === 'read' ? 'read-only-storage' : 'storage' },
    })),
  });
  const pending = device.createComputePipelineAsync({
    label: path,
    layout: device.createPipelineLayout({ label: path, bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: entry },
  });
  const scope = device.popErrorScope();
  const [pipeline, failure] = await Promise.all([settled(pending).catch(rename(path)), settled(scope)]);
  if (failure) throw new GpuError(`${path}: ${failure.message}`);
  return { pipeline, layout };
}

const rename = (path: string) => (error: Error): never => {
  throw new GpuError(`${path}: ${error.message}`);
};
