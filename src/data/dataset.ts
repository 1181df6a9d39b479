import { listNyud, NYUD_TASKS, readNyud } from './nyud.ts';
import { listPascal, PASCAL_TASKS, readPascal } from './pascal.ts';
import type { DataTask, Sample } from './sample.ts';

export type DatasetKind = 'pascal' | 'nyud';
export type DatasetSpec = {
  readonly kind: DatasetKind;
  readonly root: string;
  /** Name of a list of ids: 'train' or 'val'. */
  readonly split: string;
  readonly tasks: readonly DataTask[];
};

const DATASETS = {
  pascal: { tasks: PASCAL_TASKS, list: listPascal, read: readPascal },
  nyud: { tasks: NYUD_TASKS, list: listNyud, read: readNyud },
} as const;

/** The tasks that a dataset has labels for. */
export function datasetTasks(kind: DatasetKind): readonly DataTask[] {
  return DATASETS[kind].tasks;
}

/** The ids of the split; throws, naming it, for the first file that the tasks need and that is not there. */
export function listSamples({ kind, root, split, tasks }: DatasetSpec): string[] {
  const known = datasetTasks(kind);
  const unknown = tasks.find((task) => !known.includes(task));
  if (unknown !== undefined) {
    throw new Error(`dataset "${kind}": tasks must be of ${known.join(', ')}, got "${unknown}"`);
  }
  if (tasks.length === 0) throw new Error(`dataset "${kind}": at least one task is needed, got none`);
  const twice = tasks.find((task, i) => tasks.indexOf(task) < i);
  if (twice !== undefined) {
    throw new Error(`dataset "${kind}": a task may be given once, got "${twice}" twice`);
  }
  return DATASETS[kind].list(root, split, tasks);
}

/** The image and labels of one id, as the files hold them. */
export function readSample({ kind, root, tasks }: DatasetSpec, id: string): Promise<Sample> {
  return DATASETS[kind].read(root, id, tasks);
}
