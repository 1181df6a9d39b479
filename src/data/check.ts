// A whole split, read once by worker threads, and what it holds all in all.
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { classNames, splitIds } from './dataset.ts';
import type { DatasetSpec } from './dataset.ts';
import type { LabelFacts, SampleFacts } from './inspect.ts';
import type { Found, Task } from './inspect_worker.ts';
import type { DataTask } from './sample.ts';

type ClassFacts = {
  readonly name: string;
  readonly pixels: number;
  /** Images that have any. */
  readonly images: number;
};

export type TaskFacts = {
  readonly labels: number;
  /** Images that have no label of the kind. */
  readonly without: number;
  readonly pixels: number;
  readonly ignored: number;
  readonly classes: readonly ClassFacts[];
  readonly measured: { readonly min: number; readonly max: number; readonly mean: number } | null;
};

export type SplitFacts = {
  readonly split: string;
  readonly images: number;
  /** Those without a problem, each once, in the order of the list. */
  readonly good: readonly string[];
  /** [height, width] of the images by their area; null where none could be read. */
  readonly sizes: Readonly<Record<'smallest' | 'median' | 'largest', readonly [number, number]>> | null;
  readonly tasks: Readonly<Partial<Record<DataTask, TaskFacts>>>;
  readonly problems: readonly string[];
  readonly notes: readonly string[];
};

export type CheckOptions = {
  readonly workers?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
};

const MAX_WORKERS = 8;

/** Reads every file of a split. */
export async function checkSplit(spec: DatasetSpec, options: CheckOptions = {}): Promise<SplitFacts> {
  const listed = splitIds(spec);
  const ids = [...new Set(listed)];
  const seen = new Set<string>();
  const twice = new Set(listed.filter((id) => seen.size === seen.add(id).size));
  const facts = await inspectAll(spec, ids, options);
  return {
    split: spec.split,
    images: ids.length,
    good: facts.filter(({ problems }) => problems.length === 0).map(({ id }) => id),
    sizes: sizesOf(facts),
    tasks: Object.fromEntries(spec.tasks.map((task) => [task, taskFacts(spec, task, facts)])),
    problems: [...[...twice].map((id) => `"${id}" stands in the list more than once`),
      ...facts.flatMap(({ problems }) => problems)],
    notes: facts.flatMap(({ notes }) => notes),
  };
}

/** Shares the samples among threads; the facts come in the order of the ids. */
async function inspectAll(
  spec: DatasetSpec, ids: readonly string[], { workers: wanted, signal, onProgress }: CheckOptions,
): Promise<SampleFacts[]> {
  const count = Math.min(wanted ?? Math.min(availableParallelism(), MAX_WORKERS), ids.length);
  const facts: SampleFacts[] = Array.from({ length: ids.length });
  const path = new URL(`./inspect_worker${extname(import.meta.url)}`, import.meta.url);
  let done = 0;
  const workers = Array.from({ length: count }, (_, first) => {
    const task: Task = { spec, ids: ids.filter((__, i) => i % count === first) };
    return { first, worker: new Worker(path, { workerData: task }) };
  });
  // after its sample: Node may crash where a thread is terminated as it begins to inflate
  const stop = (): void => { for (const { worker } of workers) worker.postMessage(null); };
  signal?.addEventListener('abort', stop);
  try {
    await Promise.all(workers.map(({ first, worker }) => new Promise<void>((resolve, reject) => {
      worker.on('message', ({ at, facts: found }: Found) => {
        facts[first + at * count] = found;
        onProgress?.(++done, ids.length);
      });
      worker.on('error', reject);
      worker.on('exit', (code) => (code === 0 || signal?.aborted ? resolve()
        : reject(new Error(`A data worker ended with exit code ${code}`))));
    })));
  } finally {
    signal?.removeEventListener('abort', stop);
    stop();
  }
  signal?.throwIfAborted();
  return facts;
}

function sizesOf(facts: readonly SampleFacts[]): SplitFacts['sizes'] {
  const sizes = facts.map(({ size }) => size).filter((size) => size !== null)
    .toSorted((a, b) => a[0] * a[1] - b[0] * b[1]);
  const [smallest, median, largest] = [sizes[0], sizes[sizes.length >> 1], sizes.at(-1)];
  return smallest && median && largest ? { smallest, median, largest } : null;
}

function taskFacts(spec: DatasetSpec, task: DataTask, facts: readonly SampleFacts[]): TaskFacts {
  const all = facts.map(({ labels }) => labels[task]).filter((label) => label !== undefined);
  const labels = all.filter((label) => label !== null);
  const sum = (value: (label: LabelFacts) => number): number =>
    labels.reduce((total, each) => total + value(each), 0);
  const [pixels, ignored] = [sum((label) => label.pixels), sum((label) => label.ignored)];
  const measured = labels.map((label) => label.measured).filter((range) => range !== null);
  return {
    labels: labels.length,
    without: all.length - labels.length,
    pixels, ignored,
    classes: classNames(spec, task).map((name, number) => ({
      name,
      pixels: sum(({ classes }) => classes[number] ?? 0),
      images: sum(({ classes }) => Number((classes[number] ?? 0) > 0)),
    })),
    measured: measured.length === 0 ? null : {
      min: Math.min(...measured.map(({ min }) => min)),
      max: Math.max(...measured.map(({ max }) => max)),
      mean: measured.reduce((total, range) => total + range.sum, 0) / (pixels - ignored),
    },
  };
}
