// All that one sample holds, looked at once: what is missing, what is damaged, how its labels are spread.
import { missingFiles, readImage, readLabel } from './dataset.ts';
import type { DatasetSpec } from './dataset.ts';
import { FileError } from './file.ts';
import { IGNORE, makeField } from './sample.ts';
import type { DataTask, Field } from './sample.ts';
import { ignoreRegions } from './transforms.ts';

type Size = readonly [height: number, width: number];

export type LabelFacts = {
  readonly pixels: number;
  /** Of these, those that no loss counts. */
  readonly ignored: number;
  /** Of the others, how many each class has; empty for tasks without classes. */
  readonly classes: Readonly<Record<number, number>>;
  /** Smallest and largest value and the sum of all, for depth. */
  readonly measured: { readonly min: number; readonly max: number; readonly sum: number } | null;
};

export type SampleFacts = {
  readonly id: string;
  readonly size: Size | null;
  /** null where the image has no label of the kind: nobody whose parts could be marked. */
  readonly labels: Readonly<Partial<Record<DataTask, LabelFacts | null>>>;
  /** What keeps the sample from being used, in a sentence each. */
  readonly problems: readonly string[];
  /** What does not, but may surprise. */
  readonly notes: readonly string[];
};

export async function inspectSample(spec: DatasetSpec, id: string): Promise<SampleFacts> {
  const found = new Map<string, string>();
  const keep = (error: unknown): null => {
    if (!(error instanceof FileError)) throw error;
    if (!found.has(error.path)) found.set(error.path, error.message);
    return null;
  };
  for (const error of missingFiles(spec, id)) keep(error);
  const image = await readImage(spec, id).catch(keep);
  const size = image && [image.height, image.width] as const;
  const labels: Partial<Record<DataTask, LabelFacts | null>> = {};
  const notes: string[] = [];
  const wrong: string[] = [];
  for (const task of spec.tasks) {
    const label = orElse(() => readLabel(spec, id, task), keep);
    if (label === undefined) continue;
    if (label === null) {
      labels[task] = null;
      continue;
    }
    const differs = size && sizeDiffers(size, [label.height, label.width]);
    if (differs) (differs.shape ? wrong : notes).push(`"${id}": ${task} ${differs.says}`);
    labels[task] = labelFacts(task, label);
  }
  return { id, size, labels, problems: [...found.values(), ...wrong], notes };
}

/** What `read` gives, undefined where it fails. */
function orElse<T>(read: () => T, failed: (error: unknown) => void): T | undefined {
  try {
    return read();
  } catch (error) {
    failed(error);
    return undefined;
  }
}

/** Whether a label is only larger or smaller than its image, which is resized, or of another shape. */
function sizeDiffers([height, width]: Size, [high, wide]: Size): { shape: boolean; says: string } | null {
  if (high === height && wide === width) return null;
  const [fitHigh, fitWide] = [(wide * height) / width, (high * width) / height];
  const shape = Math.abs(wide - fitWide) > 1.5 && Math.abs(high - fitHigh) > 1.5;
  const says = `is ${wide}x${high}, its image ${width}x${height}: `
    + (shape ? 'one of them is of something else' : 'it is resized');
  return { shape, says };
}

function labelFacts(task: DataTask, label: Field): LabelFacts {
  const image = makeField(1, 1, [0, 0, 0]);
  const sample = ignoreRegions({ id: '', size: [1, 1], image, labels: new Map([[task, label]]) });
  const { data, channels } = sample.labels.get(task)!;
  const pixels = data.length / channels;
  const counts = new Map<number, number>();
  let [ignored, min, max, sum] = [0, Infinity, -Infinity, 0];
  const binary = task === 'sal' || task === 'edge';
  for (let at = 0; at < data.length; at += channels) {
    const value = data[at]!;
    if (value === IGNORE) {
      ignored++;
      continue;
    }
    [min, max, sum] = [Math.min(min, value), Math.max(max, value), sum + value];
    const number = binary ? Number(value >= 0.5) : value;
    if (channels === 1 && task !== 'depth') counts.set(number, (counts.get(number) ?? 0) + 1);
  }
  const measured = task === 'depth' && ignored < pixels ? { min, max, sum } : null;
  return { pixels, ignored, classes: Object.fromEntries(counts), measured };
}
