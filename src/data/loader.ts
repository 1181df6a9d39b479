import { slotBytes, slotView } from './batch.ts';
import type { Decoding, ImageSize } from './batch.ts';
import { listSamples } from './dataset.ts';
import type { DatasetSpec } from './dataset.ts';
import { InlineDecoders, WorkerDecoders } from './decoders.ts';
import type { Decoders } from './decoders.ts';
import { FileError } from './file.ts';
import { countBatches, following, permutation } from './order.ts';
import type { Position } from './order.ts';
import { keyOf } from './philox.ts';
import type { DataTask } from './sample.ts';
import type { OnBadSample } from './split.ts';
import type { Overshoot, WarpFill } from './transforms.ts';

export type LoaderOptions = {
  readonly dataset: DatasetSpec;
  /** Images and labels become [size, size]. */
  readonly size: number;
  readonly batchSize: number;
  /** Training: shuffled, augmented, the last batch dropped if incomplete. Otherwise: all, in order. */
  readonly train: boolean;
  readonly seed: number;
  /** Worker threads; 0 decodes on this thread, without prefetch. */
  readonly workers: number;
  /** Batches decoded ahead of the one in use. */
  readonly prefetch?: number;
  /** The first batch, to resume exactly. */
  readonly start?: Position;
  /**
   * A file that cannot be read: stop with its error, or leave the sample out and count it. In training
   * the next one of the list stands in, so that batches stay full; in validation the batch gets shorter.
   */
  readonly onBadSample?: OnBadSample;
  readonly overshoot?: Overshoot;
  readonly warpFill?: WarpFill;
};

/**
 * `image` [B, 3, S, S] of grey levels; labels [B, C, S, S], bytes for classes and masks, f32 for normals and
 * depth, with 255 = ignore: views, good until the next `next()`.
 */
export type Batch = Position & {
  readonly ids: readonly string[];
  /** The images' own [height, width]. */
  readonly sizes: readonly ImageSize[];
  readonly image: Uint8Array;
  readonly labels: Readonly<Record<string, Uint8Array | Float32Array>>;
};

export type LoaderStats = {
  /** What `next()` spent waiting. */
  waitMs: number;
  /** What was wrong with samples that were left out, and how often each was. */
  readonly skipped: Map<string, number>;
};

export type Loader = {
  readonly samples: number;
  readonly batchesPerEpoch: number;
  readonly stats: Readonly<LoaderStats>;
  /** The next batch; after an epoch's last comes the next epoch's first. */
  next(): Promise<Batch>;
  close(): Promise<void>;
};

/** What became of one place of a batch. */
type Place = { readonly id: string; readonly size: ImageSize | null; readonly problems: readonly string[] };
type Flight = Position & { readonly slot: number; readonly places: Promise<PromiseSettledResult<Place>[]> };

/** Opens a dataset's batches. What they hold and their order follow from the options, never from timing. */
export function openLoader(options: LoaderOptions): Loader {
  const { workers, prefetch = 2, start = { epoch: 0, batch: 0 } } = options;
  for (const name of ['size', 'batchSize'] as const) expectCount(name, options[name], 1);
  expectCount('workers', workers, 0);
  expectCount('prefetch', prefetch, 0);
  expectCount('start.epoch', start.epoch, 0);
  expectCount('start.batch', start.batch, 0);
  keyOf(options.seed); // throws before any thread is started
  const { onBadSample = 'error' } = options;
  const ids = listSamples(options.dataset, onBadSample);
  const batchesPerEpoch = countBatches(ids.length, options.batchSize, options.train);
  if (batchesPerEpoch === 0) {
    const images = `${ids.length} images of "${options.dataset.split}"`;
    throw new Error(`batchSize must be at most the ${images}, got ${options.batchSize}`);
  }
  if (start.batch > batchesPerEpoch) {
    throw new Error(`start.batch must be at most the ${batchesPerEpoch} of an epoch, got ${start.batch}`);
  }
  const bytes = slotBytes(options, options.dataset.tasks);
  const slots = Array.from({ length: workers === 0 ? 1 : prefetch + 1 }, () => new SharedArrayBuffer(bytes));
  const { dataset, size, batchSize, train, seed, overshoot = 'clamp', warpFill = 'zero' } = options;
  const decoding: Decoding = { dataset, ids, size, batchSize, train, seed, overshoot, warpFill, slots };
  const decoders = workers === 0 ? new InlineDecoders(decoding) : new WorkerDecoders(workers, decoding);
  return new BatchLoader({ decoding, decoders, batchesPerEpoch, start, onBadSample });
}

type Setup = {
  readonly decoding: Decoding;
  readonly decoders: Decoders;
  readonly batchesPerEpoch: number;
  readonly start: Position;
  readonly onBadSample: OnBadSample;
};

class BatchLoader implements Loader {
  readonly samples: number;
  readonly batchesPerEpoch: number;
  readonly stats: LoaderStats = { waitMs: 0, skipped: new Map() };
  readonly #decoding: Decoding;
  readonly #decoders: Decoders;
  readonly #onBadSample: OnBadSample;
  readonly #flights: Flight[] = [];
  readonly #free: number[];
  #lent: number | null = null;
  #busy = false;
  #closed = false;
  #position: Position;
  #order: { epoch: number; indices: Uint32Array } | null = null;

  constructor({ decoding, decoders, batchesPerEpoch, start, onBadSample }: Setup) {
    this.samples = decoding.ids.length;
    this.batchesPerEpoch = batchesPerEpoch;
    this.#decoding = decoding;
    this.#decoders = decoders;
    this.#onBadSample = onBadSample;
    this.#free = [...decoding.slots.keys()];
    const { epoch, batch } = start;
    this.#position = batch === batchesPerEpoch ? { epoch: epoch + 1, batch: 0 } : start;
    if (decoding.slots.length > 1) this.#launch();
  }

  async next(): Promise<Batch> {
    if (this.#closed) throw new Error('The data loader is closed');
    if (this.#busy) throw new Error('next(): wait for the batch before, its buffer is still being filled');
    this.#busy = true;
    try {
      return await this.#take();
    } finally {
      this.#busy = false;
    }
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#decoders.close();
  }

  async #take(): Promise<Batch> {
    for (let empty = 0; empty <= this.batchesPerEpoch; empty++) {
      if (this.#lent !== null) this.#free.push(this.#lent);
      this.#lent = null;
      this.#launch();
      const flight = this.#flights.shift()!;
      this.#lent = flight.slot;
      const places = await this.#land(flight);
      if (places.some(({ size }) => size)) return this.#batch(flight, places);
    }
    const [problem] = this.stats.skipped.keys();
    throw new Error(`None of the ${this.samples} samples can be read; the first: ${problem}`);
  }

  /** Waits for a batch; of its errors the first in order counts, not the first in time. */
  async #land(flight: Flight): Promise<Place[]> {
    const begin = performance.now();
    const settled = await flight.places;
    this.stats.waitMs += performance.now() - begin;
    const places = settled.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
    const { skipped } = this.stats;
    for (const problem of places.flatMap(({ problems }) => problems)) {
      skipped.set(problem, (skipped.get(problem) ?? 0) + 1);
    }
    return places;
  }

  /** Starts as many batches as there are free buffers. */
  #launch(): void {
    for (let slot = this.#free.shift(); slot !== undefined; slot = this.#free.shift()) {
      const { epoch, batch } = this.#position;
      const { batchSize } = this.#decoding;
      const indices = this.#indices(epoch).subarray(batch * batchSize, (batch + 1) * batchSize);
      const places = Array.from(indices, (index, position) => this.#fill(slot, position, index, epoch));
      this.#flights.push({ epoch, batch, slot, places: Promise.allSettled(places) });
      this.#position = following(this.#position, this.batchesPerEpoch);
    }
  }

  #indices(epoch: number): Uint32Array {
    const { ids, train, seed } = this.#decoding;
    if (this.#order?.epoch !== epoch) {
      const indices = train ? permutation(this.samples, seed, epoch) : Uint32Array.from(ids.keys());
      this.#order = { epoch, indices };
    }
    return this.#order.indices;
  }

  async #fill(slot: number, position: number, index: number, epoch: number): Promise<Place> {
    const { ids, train } = this.#decoding;
    const problems: string[] = [];
    for (let tried = 0; tried < this.samples; tried++) {
      const now = (index + tried) % this.samples;
      try {
        const size = await this.#decoders.run({ slot, position, index: now, epoch });
        return { id: ids[now]!, size, problems };
      } catch (error) {
        if (this.#onBadSample === 'error' || !(error instanceof FileError)) throw error;
        problems.push(error.message);
        if (!train) return { id: ids[now]!, size: null, problems };
      }
    }
    throw new Error(`None of the ${this.samples} samples can be read; the first: ${problems[0]}`);
  }

  /** Closes the gaps of samples left out and cuts the views. */
  #batch({ epoch, batch, slot }: Flight, places: readonly Place[]): Batch {
    const kept = [...places.keys()].filter((position) => places[position]!.size);
    const { slots, dataset: { tasks } } = this.#decoding;
    const view = (name: DataTask | 'image', first: number, count: number): Uint8Array | Float32Array =>
      slotView(slots[slot]!, this.#decoding, tasks, name, first, count);
    for (const name of ['image', ...tasks] as const) {
      kept.forEach((from, to) => from === to || view(name, to, 1).set(view(name, from, 1)));
    }
    return {
      epoch, batch,
      ids: kept.map((position) => places[position]!.id),
      sizes: kept.map((position) => places[position]!.size!),
      image: view('image', 0, kept.length) as Uint8Array,
      labels: Object.fromEntries(tasks.map((task) => [task, view(task, 0, kept.length)])),
    };
  }
}

function expectCount(name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new Error(`${name} must be a whole number from ${least} on, got ${value}`);
}
