import { parentPort, workerData } from 'node:worker_threads';
import type { DatasetSpec } from './dataset.ts';
import { inspectSample } from './inspect.ts';
import type { SampleFacts } from './inspect.ts';

export type Task = { readonly spec: DatasetSpec; readonly ids: readonly string[] };
/** `at` is the place in the task's ids. */
export type Found = { readonly at: number; readonly facts: SampleFacts };

const { spec, ids } = workerData as Task;
let stopped = false;
parentPort!.once('message', () => { stopped = true; });
parentPort!.unref();
for (const [at, id] of ids.entries()) {
  if (stopped) break;
  parentPort!.postMessage({ at, facts: await inspectSample(spec, id) } satisfies Found);
}
