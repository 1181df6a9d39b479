import { parentPort, workerData } from 'node:worker_threads';
import { decodeInto } from './batch.ts';
import type { Decoding, ImageSize, Job } from './batch.ts';
import { FileError } from './file.ts';

export type Request = { readonly id: number; readonly job: Job };
/** A bad file is told apart from a defect of the program, which may not be skipped. */
export type Reply = { readonly id: number } & (
  | { readonly size: ImageSize }
  | { readonly path: string; readonly problem: string }
  | { readonly error: unknown });

// null ends the thread, once it has done what it began
parentPort!.on('message', async (request: Request | null) => {
  if (request) parentPort!.postMessage(await answer(request.id, request.job));
  else parentPort!.close();
});

async function answer(id: number, job: Job): Promise<Reply> {
  try {
    return { id, size: await decodeInto(workerData as Decoding, job) };
  } catch (error) {
    return error instanceof FileError ? { id, path: error.path, problem: error.problem } : { id, error };
  }
}
