import { folderFiles, folderIds, folderTasks, readFolderImage, readFolderLabel } from './folder.ts';
import type { FolderLayout } from './folder.ts';
import {
  listNyud, nyudFiles, nyudIds, NYUD_SEMSEG_CLASSES, NYUD_TASKS, readNyud, readNyudImage, readNyudLabel,
} from './nyud.ts';
import {
  listPascal, pascalFiles, pascalIds, PASCAL_TASKS, readPascal, readPascalImage, readPascalLabel,
} from './pascal.ts';
import { HUMAN_PARTS_CLASSES, PASCAL_SEMSEG_CLASSES } from './pascal_classes.ts';
import { resizeCubic, resizeNearest } from './resample.ts';
import type { DataTask, Field, Sample } from './sample.ts';
import { expectFiles, missingFile, type NeededFile, type OnBadSample } from './split.ts';

export type DatasetKind = 'pascal' | 'nyud' | 'folder';
export type DatasetSpec = {
  readonly root: string;
  /** Name of a list of ids, such as 'train' or 'val'. */
  readonly split: string;
  readonly tasks: readonly DataTask[];
} & ({ readonly kind: 'pascal' | 'nyud' } | { readonly kind: 'folder'; readonly layout: FolderLayout });

/** What a kind of dataset knows of its files. */
type Source = {
  readonly tasks: readonly DataTask[];
  /** What the numbers in the labels mean, for tasks with classes. */
  readonly names: Readonly<Partial<Record<DataTask, readonly string[]>>>;
  ids(): string[];
  files(tasks: readonly DataTask[]): NeededFile[];
  image(id: string): Promise<Field>;
  /** At the size of its file; null where the image has none of the kind. */
  label(id: string, task: DataTask): Field | null;
  /** The ids, after seeing that every file is there, unless bad samples are skipped. */
  list(onBadSample: OnBadSample): string[];
  read(id: string): Promise<Sample>;
};

const MASK = ['elsewhere', 'there'] as const;

function sourceOf(spec: DatasetSpec): Source {
  const { root, split, tasks } = spec;
  switch (spec.kind) {
    case 'pascal': return {
      tasks: PASCAL_TASKS,
      names: { semseg: PASCAL_SEMSEG_CLASSES, human_parts: HUMAN_PARTS_CLASSES, sal: MASK, edge: MASK },
      ids: () => pascalIds(root, split),
      files: pascalFiles,
      image: (id) => readPascalImage(root, id),
      label: (id, task) => readPascalLabel(root, id, task),
      list: (onBadSample) => listPascal(root, split, tasks, onBadSample),
      read: (id) => readPascal(root, id, tasks),
    };
    case 'nyud': return {
      tasks: NYUD_TASKS,
      names: { semseg: NYUD_SEMSEG_CLASSES, edge: MASK },
      ids: () => nyudIds(root, split),
      files: nyudFiles,
      image: (id) => readNyudImage(root, id),
      label: (id, task) => readNyudLabel(root, id, task),
      list: (onBadSample) => onBadSample === 'skip' ? nyudIds(root, split) : listNyud(root, split, tasks),
      read: (id) => readNyud(root, id, tasks),
    };
    case 'folder': return folderSource(spec.layout, split, tasks);
  }
}

function folderSource(layout: FolderLayout, split: string, tasks: readonly DataTask[]): Source {
  return {
    tasks: folderTasks(layout),
    names: {
      semseg: layout.tasks.semseg?.names ?? [], human_parts: layout.tasks.human_parts?.names ?? [],
      sal: MASK, edge: MASK,
    },
    ids: () => folderIds(layout, split),
    files: (needed) => folderFiles(layout, needed),
    image: (id) => readFolderImage(layout, id),
    label: (id, task) => readFolderLabel(layout, id, task),
    list(onBadSample) {
      const ids = folderIds(layout, split);
      if (onBadSample === 'error') expectFiles(layout.root, ids, folderFiles(layout, tasks));
      return ids;
    },
    async read(id) {
      const image = await readFolderImage(layout, id);
      const { height, width } = image;
      const labels = new Map(tasks.map((task) => {
        const resize = task === 'normals' ? resizeCubic : resizeNearest;
        return [task, resize(readFolderLabel(layout, id, task), height, width)] as const;
      }));
      return { id, size: [height, width], image, labels };
    },
  };
}

/**
 * The ids of the split; throws, naming it, for the first file that the tasks need and that is not there,
 * unless bad samples are skipped.
 */
export function listSamples(spec: DatasetSpec, onBadSample: OnBadSample = 'error'): string[] {
  return expectTasks(spec).list(onBadSample);
}

/** The ids of the split as its list has them, whatever files there are. */
export function splitIds(spec: DatasetSpec): string[] {
  return expectTasks(spec).ids();
}

function expectTasks(spec: DatasetSpec): Source {
  const { kind, tasks } = spec;
  const source = sourceOf(spec);
  const known = source.tasks;
  const unknown = tasks.find((task) => !known.includes(task));
  if (unknown !== undefined) {
    throw new Error(`dataset "${kind}": tasks must be of ${known.join(', ')}, got "${unknown}"`);
  }
  if (tasks.length === 0) throw new Error(`dataset "${kind}": at least one task is needed, got none`);
  const twice = tasks.find((task, i) => tasks.indexOf(task) < i);
  if (twice !== undefined) {
    throw new Error(`dataset "${kind}": a task may be given once, got "${twice}" twice`);
  }
  return source;
}

/** The image and labels of one id, as the files hold them. */
export function readSample(spec: DatasetSpec, id: string): Promise<Sample> {
  return sourceOf(spec).read(id);
}

/** What to say of each file of a sample that is not there. */
export function missingFiles(spec: DatasetSpec, id: string): Error[] {
  return sourceOf(spec).files(spec.tasks)
    .map((file) => missingFile(spec.root, id, file)).filter((error) => error !== null);
}

export function readImage(spec: DatasetSpec, id: string): Promise<Field> {
  return sourceOf(spec).image(id);
}

/** One label at the size of its file; null where the image has none of the kind. */
export function readLabel(spec: DatasetSpec, id: string, task: DataTask): Field | null {
  return sourceOf(spec).label(id, task);
}

/** The tasks that a dataset has labels for. */
export function datasetTasks(spec: DatasetSpec): readonly DataTask[] {
  return sourceOf(spec).tasks;
}

/** What the numbers in a task's labels mean; none where they are measures. */
export function classNames(spec: DatasetSpec, task: DataTask): readonly string[] {
  return sourceOf(spec).names[task] ?? [];
}
