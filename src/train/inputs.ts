// A batch on its way to the device: bytes travel, a quarter of what the model reads, and are unpacked there.
import { size } from '../autograd/shape.ts';
import { lasting, release, write, type Tensor } from '../autograd/tensor.ts';
import { fitsBytes } from '../data/sample.ts';
import { NORMALISED } from '../data/transforms.ts';
import type { Gpu } from '../gpu/device.ts';
import { compile, type Executable } from '../gpu/executable.ts';
import { upload } from '../gpu/transfer.ts';
import type { ModelSpec, Task } from '../mtlora/spec.ts';
import { unpackBytes, unpackLevels, wordsOf } from '../ops/unpack_bytes.ts';
import { labelTensors } from './loss.ts';

/** A loader's batch, in which grey levels, classes and masks are bytes, or one as the model reads it. */
export type HostBatch = {
  /** [B, 3, S, S]: grey levels, or normalised. */
  readonly image: Uint8Array | Float32Array;
  readonly labels: Readonly<Record<string, Uint8Array | Float32Array>>;
};

/** A batch as the model reads it. */
export type Ready = {
  readonly image: Float32Array;
  readonly labels: Readonly<Record<string, Float32Array>>;
};

type Packed = { readonly words: Tensor; readonly to: Tensor };

/** Where a program finds its batch, in f32. */
export class Inputs {
  /** [B, channels, S, S], normalised. */
  readonly image: Tensor;
  readonly labels: ReadonlyMap<Task, Tensor>;
  readonly #gpu: Gpu;
  readonly #table: Tensor;
  readonly #packed: ReadonlyMap<Task | 'image', Packed>;
  #unpack: Executable | null = null;

  constructor(gpu: Gpu, { tasks, inChannels, imgSize }: ModelSpec, batch: number) {
    this.#gpu = gpu;
    this.image = lasting(gpu, 'images', [batch, inChannels, imgSize, imgSize]);
    this.labels = labelTensors(gpu, tasks.map(({ name }) => name), batch, imgSize);
    this.#table = lasting(gpu, 'grey levels', [NORMALISED.length / 256, 256], NORMALISED);
    const all = [['image' as const, this.image] as const, ...this.labels];
    this.#packed = new Map(all.flatMap(([name, to]) => name === 'image' || fitsBytes(name)
      ? [[name, { to, words: lasting(gpu, `${name} bytes`, [wordsOf(size(to.shape))], undefined, 'u32') }]]
      : []));
  }

  /** Compiles what unpacks bytes; before it only batches of f32 can be written. */
  async compile(): Promise<this> {
    const { executable } = await compile(this.#gpu, 'unpack', () => {
      for (const [name, { words, to }] of this.#packed) {
        if (name === 'image') unpackLevels(words, this.#table, to);
        else unpackBytes(words, to);
      }
    });
    this.#unpack = executable;
    return this;
  }

  /** Puts a batch where the next program reads it. */
  write({ image, labels }: HostBatch): void {
    const bytes = image instanceof Uint8Array;
    const put = (name: Task | 'image', to: Tensor, values: Uint8Array | Float32Array): void => {
      const packed = bytes ? this.#packed.get(name) : undefined;
      if (packed) writeBytes(this.#gpu, name, packed, values);
      else write(this.#gpu, to, values);
    };
    put('image', this.image, image);
    for (const [task, to] of this.labels) put(task, to, labels[task]!);
    if (bytes) this.#unpack!.run();
  }

  destroy(): void {
    this.#unpack?.destroy();
    const words = [...this.#packed.values()].map((packed) => packed.words);
    for (const tensor of [this.image, this.#table, ...this.labels.values(), ...words]) {
      release(this.#gpu, tensor);
    }
  }
}

function writeBytes(
  gpu: Gpu, name: string, { words, to }: Packed, values: Uint8Array | Float32Array,
): void {
  if (!(values instanceof Uint8Array) || values.length !== size(to.shape)) {
    const kind = values instanceof Uint8Array ? 'bytes' : 'floats';
    throw new Error(`batch: "${name}" must be ${size(to.shape)} bytes as its image is, `
      + `got ${values.length} ${kind}`);
  }
  const whole = values.length % 4 === 0;
  const padded = whole ? values : new Uint8Array(words.bytes);
  if (!whole) padded.set(values);
  upload(gpu, words.storage.place!, padded);
}
