import { toFloat32, type HostTensor } from '../data/host_tensor.ts';
import type { Gradients } from '../autograd/tape.ts';
import { encoded, placed, type Dtype, type Tensor } from '../autograd/tensor.ts';
import { size } from '../autograd/shape.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Range } from '../gpu/memory.ts';
import { ELEMENT_BYTES } from '../gpu/storage.ts';
import { copy, download, upload } from '../gpu/transfer.ts';
import { copyInto } from '../ops/elementwise.ts';
import { BLOCK, FLAGS } from '../ops/optim/arena.ts';
import { initialValues } from './initial.ts';
import { laidOut, packParameters, takenOut, type Pack, type Part } from './packing.ts';
import type { ModelSpec } from './spec.ts';

/** Flat buffers of what the optimizer keeps of the trainable parameters; each starts at a whole block. */
export type Arena = {
  readonly values: GPUBuffer;
  readonly gradients: GPUBuffer;
  readonly moments: readonly [GPUBuffer, GPUBuffer];
  /** Moving averages of the values; null where none are kept. */
  readonly averages: GPUBuffer | null;
  readonly flags: GPUBuffer;
  readonly floats: number;
};

type Placement = { readonly pack: Pack; readonly tensor: Tensor; readonly at: number };

export type StoreOptions = {
  /** Keeps moving averages of the trainable parameters. */
  readonly averages?: boolean;
  /** How frozen matrices lie on the device; what is read of the store stays exact. */
  readonly frozen?: 'f32' | 'f16' | undefined;
  /** What trains with the model and is no part of it, such as the losses' weights. */
  readonly beside?: readonly Pack[];
};

/**
 * The parameters of a model on the device, under the release's names: trainable ones in one arena with their
 * gradients and moments, frozen ones and buffers beside it.
 */
export class ParameterStore {
  readonly spec: ModelSpec;
  readonly packs: readonly Pack[];
  readonly arena: Arena;
  readonly #gpu: Gpu;
  readonly #placements = new Map<string, Placement>();
  readonly #owned: GPUBuffer[] = [];
  readonly #updated = new Set<string>();
  /** Values of what the device holds rounded. */
  readonly #exact = new Map<string, Float32Array>();

  constructor(
    gpu: Gpu, spec: ModelSpec, { averages = false, frozen = 'f32', beside = [] }: StoreOptions = {},
  ) {
    this.#gpu = gpu;
    this.spec = spec;
    this.packs = [...packParameters(spec), ...beside];
    const trainable = this.packs.filter((pack) => pack.trainable);
    const floats = this.#layOut(trainable);
    const own = (label: string, bytes: number): GPUBuffer => {
      const buffer = gpu.memory.alloc(label, bytes);
      this.#owned.push(buffer);
      return buffer;
    };
    this.arena = {
      floats,
      values: own('trainable parameters', 4 * floats),
      gradients: own('gradients', 4 * floats),
      moments: [own('first moments', 4 * floats), own('second moments', 4 * floats)],
      averages: averages ? own('averaged parameters', 4 * floats) : null,
      flags: own('optimizer flags', 4 * floats / BLOCK),
    };
    for (const pack of trainable) {
      this.#place(pack, { buffer: this.arena.values, offset: 4 * this.#offsets.get(pack.name)! }, 'f32');
    }
    for (const pack of this.packs.filter((each) => !each.trainable)) {
      const { name, kind, shape } = pack;
      const dtype = kind === 'param' && shape.length > 1 ? frozen : 'f32';
      if (dtype === 'f16') this.#exact.set(name, new Float32Array(size(shape)));
      this.#place(pack, { buffer: own(name, ELEMENT_BYTES[dtype] * size(shape)), offset: 0 }, dtype);
    }
  }

  /** A pack's tensor: `backbone.layers.0.blocks.0.attn.qkv.lora_A`, or a parameter's own name. */
  tensor(name: string): Tensor {
    return this.#placement(name).tensor;
  }

  has(name: string): boolean {
    return this.#placements.has(name);
  }

  /** Fills every parameter with its start value. */
  initialise(seed: number): void {
    for (const pack of this.packs) {
      for (const part of pack.parts) {
        this.#writePart(pack, part, initialValues(part.parameter, seed));
      }
    }
  }

  /** Overwrites parameters and buffers by name; what the device does not hold (index, mask) is skipped. */
  load(values: ReadonlyMap<string, HostTensor>): void {
    for (const pack of this.packs) {
      for (const part of pack.parts) {
        const found = values.get(part.parameter.name);
        if (found) this.#writePart(pack, part, toFloat32(found));
      }
    }
  }

  /** The parameters and buffers under the release's names, and what trains beside them. */
  async read(): Promise<Map<string, HostTensor>> {
    return this.#readFrom(this.packs, (pack) => this.#placement(pack.name).tensor.storage.place!);
  }

  /** A buffer of the arena by parameter name: only of those that the optimizer updates. */
  async readArena(buffer: GPUBuffer): Promise<Map<string, HostTensor>> {
    const packs = this.packs.filter(({ name }) => this.#updated.has(name));
    return this.#readFrom(packs, ({ name }) => ({ buffer, offset: 4 * this.#placement(name).at }));
  }

  loadArena(buffer: GPUBuffer, values: ReadonlyMap<string, HostTensor>): void {
    for (const pack of this.packs.filter(({ trainable }) => trainable)) {
      for (const part of pack.parts) {
        const found = values.get(part.parameter.name);
        if (found) this.#writePart(pack, part, toFloat32(found), buffer);
      }
    }
  }

  /** The gradients of the last step by parameter name. */
  readGradients(): Promise<Map<string, HostTensor>> {
    return this.readArena(this.arena.gradients);
  }

  /** Starts the averages, where there are any, at what the parameters are now. */
  startAverages(): void {
    const { averages, values, floats } = this.arena;
    if (averages) copy(this.#gpu, values, averages, 4 * floats);
  }

  /**
   * Runs `use` while the parameters are their averages, where there are any. Meanwhile the parameters lie
   * where the gradients do, which every step writes anew: no step may run before this is done.
   */
  async withAverages<T>(use: () => Promise<T>): Promise<T> {
    const { averages, values, gradients, floats } = this.arena;
    if (!averages) return use();
    copy(this.#gpu, values, gradients, 4 * floats);
    copy(this.#gpu, averages, values, 4 * floats);
    try {
      return await use();
    } finally {
      copy(this.#gpu, gradients, values, 4 * floats);
    }
  }

  /**
   * Has the traced program write each parameter's gradient straight to its place in the arena, and flags the
   * blocks for the optimizer. What got no gradient is skipped by it: neither moved nor decayed.
   *
   * @param buffer another arena of the same layout, for accumulation
   */
  placeGradients(gradients: Gradients, buffer = this.arena.gradients): void {
    const flags = new Uint32Array(this.arena.floats / BLOCK);
    for (const { pack, tensor, at } of this.#placements.values()) {
      const gradient = pack.trainable ? gradients.get(tensor) : null;
      if (!gradient || pack.dead) continue;
      this.#updated.add(pack.name);
      const end = Math.ceil((at + size(pack.shape)) / BLOCK);
      flags.fill(pack.decay ? FLAGS.decay : FLAGS.update, at / BLOCK, end);
      const place = { buffer, offset: 4 * at };
      if (gradient.storage.place === null && !gradient.storage.within) {
        gradient.storage.place = place;
      } else {
        copyInto(gradient, placed(`gradient of ${pack.name}`, pack.shape, place, false));
      }
    }
    upload(this.#gpu, { buffer: this.arena.flags, offset: 0 }, flags);
  }

  destroy(): void {
    for (const buffer of this.#owned) this.#gpu.memory.free(buffer);
  }

  #placement(name: string): Placement {
    const found = this.#placements.get(name);
    if (!found) throw new Error(`parameters: the model has no "${name}"`);
    return found;
  }

  #offsets = new Map<string, number>();

  #layOut(packs: readonly Pack[]): number {
    let end = 0;
    for (const { name, shape } of packs) {
      this.#offsets.set(name, end);
      end += Math.ceil(size(shape) / BLOCK) * BLOCK;
    }
    return Math.max(end, BLOCK);
  }

  #place(pack: Pack, place: Range, dtype: Dtype): void {
    const at = this.#offsets.get(pack.name) ?? 0;
    const tensor = placed(pack.name, pack.shape, place, pack.trainable, dtype);
    this.#placements.set(pack.name, { pack, at, tensor });
  }

  #writePart(pack: Pack, part: Part, values: Float32Array, buffer?: GPUBuffer): void {
    const { parameter: { shape, name }, at } = part;
    if (values.length !== size(shape)) {
      throw new Error(`parameters: "${name}" must be [${shape.join(', ')}], got ${values.length} values`);
    }
    const placement = this.#placement(pack.name);
    const start = buffer ? { buffer, offset: 4 * placement.at } : placement.tensor.storage.place!;
    const laid = laidOut(part, values);
    const exact = this.#exact.get(pack.name);
    if (exact) {
      exact.set(laid, at);
      upload(this.#gpu, start, encoded(exact, 'f16'));
    } else {
      upload(this.#gpu, { buffer: start.buffer, offset: start.offset + 4 * at }, laid);
    }
  }

  async #readFrom(packs: readonly Pack[], where: (pack: Pack) => Range): Promise<Map<string, HostTensor>> {
    const onDevice = packs.filter(({ name }) => !this.#exact.has(name));
    const ranges = onDevice.map((pack) => ({ ...where(pack), bytes: 4 * size(pack.shape) }));
    const blobs = await download(this.#gpu, ranges);
    const read = new Map(onDevice.map(({ name }, i) => [name, new Float32Array(blobs[i]!)] as const));
    const found = new Map<string, HostTensor>();
    packs.forEach((pack) => {
      const whole = this.#exact.get(pack.name) ?? read.get(pack.name)!;
      for (const part of pack.parts) {
        const { name, shape } = part.parameter;
        found.set(name, { dtype: 'F32', shape, data: takenOut(part, whole) });
      }
    });
    return found;
  }
}
