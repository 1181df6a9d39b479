import { dropDeadDispatches } from './dead.ts';
import type { Gpu } from './device.ts';
import { GpuError } from './errors.ts';
import type { Range } from './memory.ts';
import { boundBindings, pipelineOf } from './pipelines.ts';
import { planProgram, type Plan } from './plan.ts';
import { trace, type Dispatch, type Program } from './program.ts';
import type { Bound, Storage } from './storage.ts';
import { download } from './transfer.ts';
import { settled } from './wait.ts';

/** What changes from step to step, as `kernels/lib/live.wgsl` lays it out. */
export type Live = {
  readonly step?: number;
  readonly seed?: number;
  readonly lr?: number;
  readonly correction1?: number;
  readonly correction2?: number;
  readonly fresh?: boolean;
};

export type Command = {
  readonly dispatch: Dispatch;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
};

/** A planned and compiled program: `run` replays it, allocating nothing. */
export class Executable {
  readonly label: string;
  readonly plan: Plan;
  readonly commands: readonly Command[];
  readonly #gpu: Gpu;
  readonly #live: GPUBuffer;
  readonly #buffers: readonly GPUBuffer[];
  readonly #places: ReadonlyMap<Storage, Range>;
  readonly #liveWords = new DataView(new ArrayBuffer(32));

  constructor(gpu: Gpu, label: string, plan: Plan, commands: readonly Command[], memory: Placed) {
    this.#gpu = gpu;
    this.label = label;
    this.plan = plan;
    this.commands = commands;
    this.#live = memory.live;
    this.#buffers = memory.buffers;
    this.#places = memory.places;
  }

  /** Submits the whole program once, without waiting for it. */
  run(live: Live = {}): void {
    this.setLive(live);
    const encoder = this.#gpu.device.createCommandEncoder({ label: this.label });
    const pass = encoder.beginComputePass({ label: this.label });
    for (const { dispatch, pipeline, group } of this.commands) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(dispatch.grid[0], dispatch.grid[1]);
    }
    pass.end();
    this.#gpu.device.queue.submit([encoder.finish()]);
  }

  /** Writes the uniform of what changes from step to step. */
  setLive({ step = 0, seed = 0, lr = 0, correction1 = 1, correction2 = 1, fresh = true }: Live): void {
    const words = this.#liveWords;
    words.setUint32(0, step, true);
    words.setUint32(4, seed, true);
    words.setFloat32(8, lr, true);
    words.setFloat32(12, correction1, true);
    words.setFloat32(16, correction2, true);
    words.setUint32(20, Number(fresh), true);
    this.#gpu.device.queue.writeBuffer(this.#live, 0, words.buffer);
  }

  /** Where a kept or lasting storage lies. */
  placeOf({ storage }: Bound): Range {
    const place = storage.place ?? this.#places.get(storage);
    if (!place) throw new GpuError(`${this.label}: "${storage.label}" was not kept, so it cannot be read`);
    return place;
  }

  /** Waits for the work submitted so far and copies what was kept to the host, as raw bytes. */
  read(bounds: readonly (Bound & { readonly bytes: number })[]): Promise<ArrayBuffer[]> {
    return download(this.#gpu, bounds.map((bound) => ({ ...this.placeOf(bound), bytes: bound.bytes })));
  }

  /** Frees the program's buffers. */
  destroy(): void {
    for (const buffer of this.#buffers) this.#gpu.memory.free(buffer);
  }
}

/** Traces `body`, plans its memory and compiles its kernels; nothing runs yet. */
export async function compile<T>(gpu: Gpu, label: string, body: () => T): Promise<{ executable: Executable; result: T }> {
  const { program, result } = trace(gpu, label, body);
  dropDeadDispatches(program);
  return { executable: await build(gpu, program), result };
}

type Placed = { live: GPUBuffer; uniforms: GPUBuffer; buffers: GPUBuffer[]; places: Map<Storage, Range> };

async function build(gpu: Gpu, program: Program): Promise<Executable> {
  const plan = planProgram(program);
  const pipelines = await Promise.all(program.dispatches.map((dispatch) => pipelineOf(gpu, dispatch)));
  const { device } = gpu;
  device.pushErrorScope('out-of-memory');
  const [uniformBytes, uniformAt] = packUniforms(gpu, program.dispatches);
  const placed = allocate(gpu, program.label, plan, uniformBytes.byteLength);
  const outOfMemory = await settled(device.popErrorScope());
  if (outOfMemory) {
    throw new GpuError(`${program.label}: the device has no room for ${plan.peakBytes} bytes: use a smaller batch or image`);
  }
  if (uniformBytes.byteLength > 0) device.queue.writeBuffer(placed.uniforms, 0, uniformBytes);
  const scopes: { label: string; scope: Promise<GPUError | null> }[] = [];
  const commands = program.dispatches.map((dispatch, i) => {
    const { pipeline, layout } = pipelines[i]!;
    device.pushErrorScope('validation');
    const entries = boundBindings(dispatch).map(({ name, index }) => ({
      binding: index, resource: resourceOf(dispatch, name, placed, uniformAt[i]!),
    }));
    const group = device.createBindGroup({ label: dispatch.label, layout, entries });
    scopes.push({ label: dispatch.label, scope: device.popErrorScope() });
    return { dispatch, pipeline, group };
  });
  for (const { label, scope } of scopes) {
    const error = await settled(scope);
    if (error) throw new GpuError(`${label}: ${error.message}`);
  }
  return new Executable(gpu, program.label, plan, commands, placed);
}

function allocate(gpu: Gpu, label: string, plan: Plan, uniformBytes: number): Placed {
  const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
  const live = gpu.memory.alloc(`${label} live`, 32, usage);
  const uniforms = gpu.memory.alloc(`${label} params`, uniformBytes, usage);
  const buffers = [live, uniforms];
  const places = new Map<Storage, Range>();
  plan.slots.forEach(({ bytes, tenants }, i) => {
    const buffer = gpu.memory.alloc(`${label} slot ${i}`, bytes);
    buffers.push(buffer);
    for (const storage of tenants) places.set(storage, { buffer, offset: 0 });
  });
  return { live, uniforms, buffers, places };
}

// all kernels' parameters in one buffer; equal ones share a place
function packUniforms(gpu: Gpu, dispatches: readonly Dispatch[]): [Uint8Array<ArrayBuffer>, number[]] {
  const align = gpu.limits.minUniformBufferOffsetAlignment;
  const known = new Map<string, number>();
  const chunks: Uint32Array[] = [];
  let end = 0;
  const at = dispatches.map(({ params }) => {
    if (!params) return 0;
    const key = params.join();
    let offset = known.get(key);
    if (offset === undefined) {
      known.set(key, offset = end);
      chunks.push(params);
      end += Math.ceil(params.byteLength / align) * align;
    }
    return offset;
  });
  const bytes = new Uint8Array(end);
  [...known.values()].forEach((offset, i) => bytes.set(new Uint8Array(chunks[i]!.buffer), offset));
  return [bytes, at];
}

function resourceOf(dispatch: Dispatch, name: string, placed: Placed, uniformAt: number): GPUBufferBinding {
  if (name === 'live') return { buffer: placed.live };
  if (name === 'params') return { buffer: placed.uniforms, offset: uniformAt, size: dispatch.params!.byteLength };
  const { storage } = dispatch.uses.find((use) => use.name === name)!;
  const place = storage.place ?? placed.places.get(storage)!;
  return { buffer: place.buffer, offset: place.offset, size: storage.bytes };
}
