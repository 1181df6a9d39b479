import { dropDeadDispatches } from './dead.ts';
import type { Gpu } from './device.ts';
import { firstSentence, GpuError } from './errors.ts';
import type { Untried } from './guard.ts';
import type { Range } from './memory.ts';
import { boundBindings, pipelineOf, type Pipeline } from './pipelines.ts';
import {
  allocate, expectApart, LIVE_BYTES, packUniforms, placeIn, resourceOf, type Placed,
} from './placement.ts';
import { planProgram, type Plan } from './plan.ts';
import { trace, type Dispatch, type Program } from './program.ts';
import type { Bound } from './storage.ts';
import { download } from './transfer.ts';
import { settled } from './wait.ts';
import { warmUp } from './warm_up.ts';

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
  readonly #placed: Placed;
  readonly #live = new DataView(new ArrayBuffer(LIVE_BYTES));

  constructor(gpu: Gpu, label: string, plan: Plan, commands: readonly Command[], placed: Placed) {
    this.#gpu = gpu;
    this.label = label;
    this.plan = plan;
    this.commands = commands;
    this.#placed = placed;
  }

  /** Submits the whole program once, without waiting for it. */
  run(live: Live = {}): void {
    this.setLive(live);
    const encoder = this.#gpu.device.createCommandEncoder({ label: this.label });
    const pass = encoder.beginComputePass({ label: this.label });
    for (const command of this.commands) encode(pass, command);
    pass.end();
    this.#gpu.device.queue.submit([encoder.finish()]);
    this.#gpu.check();
  }

  /** Writes the uniform of what changes from step to step. */
  setLive({ step = 0, seed = 0, lr = 0, correction1 = 1, correction2 = 1, fresh = true }: Live): void {
    const words = this.#live;
    words.setUint32(0, step, true);
    words.setUint32(4, seed, true);
    words.setFloat32(8, lr, true);
    words.setFloat32(12, correction1, true);
    words.setFloat32(16, correction2, true);
    words.setUint32(20, Number(fresh), true);
    this.#gpu.device.queue.writeBuffer(this.#placed.live, 0, words.buffer);
  }

  /** Where a storage of the program lies. What was not kept shares its place with others over time. */
  placeOf({ storage }: Bound): Range {
    const place = placeIn(this.#placed, storage);
    if (!place) throw new GpuError(`${this.label}: "${storage.label}" is not of this program`);
    return place;
  }

  /** Waits for the work submitted so far and copies what was kept to the host, as raw bytes. */
  async read(bounds: readonly (Bound & { readonly bytes: number })[]): Promise<ArrayBuffer[]> {
    for (const { storage } of bounds) {
      if (storage.place || this.plan.kept.has(storage)) continue;
      throw new GpuError(`${this.label}: "${storage.label}" was not kept, so it cannot be read`);
    }
    return download(this.#gpu, bounds.map((bound) => ({ ...this.placeOf(bound), bytes: bound.bytes })));
  }

  /** The buffers of its slots, for another program that never runs between a run of this one and its read. */
  get slots(): readonly GPUBuffer[] {
    return this.#placed.slots;
  }

  /** Frees the program's own buffers. */
  destroy(): void {
    for (const buffer of this.#placed.buffers) this.#gpu.memory.free(buffer);
  }
}

export function encode(pass: GPUComputePassEncoder, { dispatch, pipeline, group }: Command): void {
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(dispatch.grid[0], dispatch.grid[1]);
}

/**
 * Traces `body`, plans its memory and compiles its kernels; nothing of it runs yet. Fast kernels are checked
 * first, and where one is wrong `body` is traced again.
 *
 * @param lenders programs that never run between a run of this one and its read: their buffers serve it too
 */
export async function compile<T>(
  gpu: Gpu, label: string, body: () => T, lenders: readonly Executable[] = [],
): Promise<{ executable: Executable; result: T }> {
  const { program, result } = await traceChecked(gpu, label, body);
  return { executable: await assemble(gpu, program, lenders.flatMap(({ slots }) => slots)), result };
}

/** Plans a traced program's memory and compiles its kernels, as they are. */
export async function assemble(
  gpu: Gpu, program: Program, lent: readonly GPUBuffer[] = [],
): Promise<Executable> {
  dropDeadDispatches(program);
  return build(gpu, program, lent);
}

async function traceChecked<T>(
  gpu: Gpu, label: string, body: () => T,
): Promise<{ program: Program; result: T }> {
  const { guard } = gpu;
  for (;;) {
    const traced = trace(gpu, label, body);
    const untried: Untried = guard?.takeUntried() ?? new Map();
    const trials = [...untried.values()].flatMap(({ before, plain }) => [...before, ...plain]);
    await warmUp(gpu, [...traced.program.dispatches, ...trials]);
    const agrees = await guard?.settle(gpu, untried, (program, kept) => runOnce(gpu, program, kept));
    if (agrees ?? true) return traced;
  }
}

/** Runs a traced program once and reads what it kept. */
export async function runOnce(
  gpu: Gpu, program: Program, kept: readonly (Bound & { readonly bytes: number })[],
): Promise<ArrayBuffer[]> {
  const executable = await assemble(gpu, program);
  try {
    executable.run();
    return await executable.read(kept);
  } finally {
    executable.destroy();
  }
}

/** What `body` would take, traced and planned as `compile` does; nothing is compiled or allocated for it. */
export function planOnly<T>(gpu: Gpu, label: string, body: () => T): { plan: Plan; result: T } {
  const { program, result } = trace(gpu, label, body);
  dropDeadDispatches(program);
  return { plan: planProgram(program), result };
}

async function build(gpu: Gpu, program: Program, lent: readonly GPUBuffer[]): Promise<Executable> {
  const { label, dispatches } = program;
  const plan = planProgram(program);
  const pipelines = await Promise.all(dispatches.map((dispatch) => pipelineOf(gpu, dispatch)));
  const { bytes, offsets } = packUniforms(dispatches, gpu.limits.minUniformBufferOffsetAlignment);
  const placed = await allocateScoped(gpu, label, plan, bytes.byteLength, lent);
  try {
    if (bytes.byteLength > 0) gpu.device.queue.writeBuffer(placed.uniforms, 0, bytes);
    const commands = await bindAll(gpu, dispatches, pipelines, placed, offsets);
    gpu.check();
    return new Executable(gpu, label, plan, commands, placed);
  } catch (error) {
    for (const buffer of placed.buffers) gpu.memory.free(buffer);
    throw error;
  }
}

async function allocateScoped(
  gpu: Gpu, label: string, plan: Plan, uniformBytes: number, lent: readonly GPUBuffer[],
): Promise<Placed> {
  gpu.device.pushErrorScope('out-of-memory');
  let scope: Promise<GPUError | null>;
  let placed: Placed;
  try {
    placed = allocate(gpu, label, plan, uniformBytes, lent);
  } finally {
    scope = gpu.device.popErrorScope();
  }
  if (!await settled(scope)) return placed;
  for (const buffer of placed.buffers) gpu.memory.free(buffer);
  throw new GpuError(`${label}: the device has no room for ${plan.peakBytes} bytes: `
    + 'use a smaller batch or image');
}

async function bindAll(
  { device }: Gpu, dispatches: readonly Dispatch[], pipelines: readonly Pipeline[], placed: Placed,
  offsets: readonly number[],
): Promise<Command[]> {
  const scopes: Promise<GPUError | null>[] = [];
  const commands = dispatches.map((dispatch, i) => {
    expectApart(dispatch, placed);
    const { pipeline, layout } = pipelines[i]!;
    const entries = boundBindings(dispatch).map(({ name, index }) => ({
      binding: index, resource: resourceOf(dispatch, name, placed, offsets[i]!),
    }));
    device.pushErrorScope('validation');
    const group = device.createBindGroup({ label: dispatch.label, layout, entries });
    scopes.push(device.popErrorScope());
    return { dispatch, pipeline, group };
  });
  const errors = await settled(Promise.all(scopes));
  errors.forEach((error, i) => {
    if (error) throw new GpuError(`${dispatches[i]!.label}: ${firstSentence(error.message)}`);
  });
  return commands;
}
