import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { decodeInto } from './batch.ts';
import type { Decoding, ImageSize, Job } from './batch.ts';
import { FileError } from './file.ts';
import type { Reply, Request } from './loader_worker.ts';

/** Who decodes: worker threads, or this thread itself. */
export type Decoders = { run(job: Job): Promise<ImageSize>; close(): Promise<void> };
type Pending = { readonly worker: Worker; resolve(size: ImageSize): void; reject(error: unknown): void };

/** While a worker's picture is with libjpeg, on another thread, it can transform a second one. */
const JOBS_A_WORKER = 2;

/** Decodes on this thread, one sample after the other. */
export function inlineDecoders(decoding: Decoding): Decoders {
  let last: Promise<unknown> = Promise.resolve();
  return {
    run(job) {
      const result = last.then(() => decodeInto(decoding, job));
      last = result.catch(() => undefined); // whoever asked for it gets the error
      return result;
    },
    close: async () => undefined,
  };
}

/** Decodes on `count` worker threads; jobs are handed out in the order in which they come. */
export function workerDecoders(count: number, decoding: Decoding): Decoders {
  const pending = new Map<number, Pending>();
  const waiting: { job: Job; resolve: Pending['resolve']; reject: Pending['reject'] }[] = [];
  let stopped: Error | null = null;
  let nextId = 0;

  const path = new URL(`./loader_worker${extname(import.meta.url)}`, import.meta.url);
  const workers = Array.from({ length: count }, () => new Worker(path, { workerData: decoding }));
  const load = new Map(workers.map((worker) => [worker, 0]));

  function handOut(): void {
    for (const [worker, jobs] of load) {
      if (jobs >= JOBS_A_WORKER) continue;
      const next = waiting.shift();
      if (!next) return;
      load.set(worker, jobs + 1);
      pending.set(nextId, { worker, ...next });
      worker.postMessage({ id: nextId++, job: next.job } satisfies Request);
    }
  }

  function take(reply: Reply): void {
    const request = pending.get(reply.id);
    if (!request) return; // stopped meanwhile
    const { worker, resolve, reject } = request;
    pending.delete(reply.id);
    load.set(worker, load.get(worker)! - 1);
    if ('size' in reply) resolve(reply.size);
    else if ('path' in reply) reject(new FileError(reply.path, reply.problem));
    else reject(reply.error);
    handOut();
  }

  function stop(error: Error): void {
    stopped ??= error;
    for (const { reject } of [...pending.values(), ...waiting]) reject(stopped);
    pending.clear();
    waiting.length = 0;
  }

  for (const worker of workers) {
    worker.on('message', take);
    worker.on('error', (error) => stop(new Error(`A data worker failed: ${(error as Error).message}`, { cause: error })));
    worker.on('exit', (code) => stop(new Error(`A data worker ended with exit code ${code}`)));
  }

  return {
    run: (job) => new Promise((resolve, reject) => {
      if (stopped) return reject(stopped);
      waiting.push({ job, resolve, reject });
      handOut();
    }),
    async close() {
      stop(new Error('The data loader is closed'));
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}
