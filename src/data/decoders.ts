import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { decodeInto } from './batch.ts';
import type { Decoding, ImageSize, Job } from './batch.ts';
import { FileError } from './file.ts';
import type { Reply, Request } from './loader_worker.ts';

/** Who decodes: worker threads, or this thread itself. */
export type Decoders = {
  /** Decodes into a batch buffer; rejects with a FileError where a file is bad. */
  run(job: Job): Promise<ImageSize>;
  close(): Promise<void>;
};

type Waiting = { readonly job: Job; resolve(size: ImageSize): void; reject(error: unknown): void };
type Running = Waiting & { readonly worker: Worker };

/** While a worker's picture is with libjpeg, on another thread, it can transform a second one. */
const JOBS_A_WORKER = 2;

/** Decodes on this thread, one sample after the other. */
export class InlineDecoders implements Decoders {
  readonly #decoding: Decoding;
  #last: Promise<unknown> = Promise.resolve();

  constructor(decoding: Decoding) {
    this.#decoding = decoding;
  }

  run(job: Job): Promise<ImageSize> {
    const result = this.#last.then(() => decodeInto(this.#decoding, job));
    this.#last = result.catch(() => undefined); // whoever asked for it gets the error
    return result;
  }

  async close(): Promise<void> {
    await this.#last;
  }
}

/** Decodes on `count` worker threads; jobs are handed out in the order in which they come. */
export class WorkerDecoders implements Decoders {
  /** How many jobs each worker has. */
  readonly #load: Map<Worker, number>;
  readonly #waiting: Waiting[] = [];
  readonly #running = new Map<number, Running>();
  readonly #ended: Promise<unknown>;
  #nextId = 0;
  #stopped: Error | null = null;

  constructor(count: number, decoding: Decoding) {
    const path = new URL(`./loader_worker${extname(import.meta.url)}`, import.meta.url);
    const workers = Array.from({ length: count }, () => new Worker(path, { workerData: decoding }));
    this.#load = new Map(workers.map((worker) => [worker, 0]));
    this.#ended = Promise.all(workers.map((worker) =>
      new Promise((resolve) => worker.once('exit', resolve))));
    for (const worker of workers) {
      worker.on('message', (reply: Reply) => this.#take(reply));
      worker.on('error', (error) =>
        this.#stop(new Error(`A data worker failed: ${(error as Error).message}`, { cause: error })));
      worker.on('exit', (code) => this.#stop(new Error(`A data worker ended with exit code ${code}`)));
    }
  }

  run(job: Job): Promise<ImageSize> {
    return new Promise((resolve, reject) => {
      if (this.#stopped) return reject(this.#stopped);
      this.#waiting.push({ job, resolve, reject });
      this.#handOut();
    });
  }

  async close(): Promise<void> {
    this.#stop(new Error('The data loader is closed'));
    // they end what they have begun: Node may crash where a thread is terminated as it begins to inflate
    for (const worker of this.#load.keys()) worker.postMessage(null);
    await this.#ended;
  }

  #handOut(): void {
    for (const [worker, jobs] of this.#load) {
      if (jobs >= JOBS_A_WORKER) continue;
      const next = this.#waiting.shift();
      if (!next) return;
      this.#load.set(worker, jobs + 1);
      this.#running.set(this.#nextId, { worker, ...next });
      worker.postMessage({ id: this.#nextId++, job: next.job } satisfies Request);
    }
  }

  #take(reply: Reply): void {
    const running = this.#running.get(reply.id);
    if (!running) return; // stopped meanwhile
    const { worker, resolve, reject } = running;
    this.#running.delete(reply.id);
    this.#load.set(worker, this.#load.get(worker)! - 1);
    if ('size' in reply) resolve(reply.size);
    else if ('path' in reply) reject(new FileError(reply.path, reply.problem));
    else reject(reply.error);
    this.#handOut();
  }

  #stop(error: Error): void {
    this.#stopped ??= error;
    for (const { reject } of [...this.#running.values(), ...this.#waiting]) reject(this.#stopped);
    this.#running.clear();
    this.#waiting.length = 0;
  }
}
