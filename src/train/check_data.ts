// What `check-data` says of a data set, and what follows from it.
import { checkSplit, type SplitFacts, type TaskFacts } from '../data/check.ts';
import { datasetTasks, type DatasetSpec } from '../data/dataset.ts';
import { writeBytes } from '../data/file_bytes.ts';
import { readDataFile } from './data_file.ts';
import type { DataTask } from '../data/sample.ts';
import { Exit, type Terminal } from './terminal.ts';

export type CheckDataOptions = {
  readonly pascal?: string | undefined;
  readonly nyud?: string | undefined;
  readonly data?: string | undefined;
  /** All that the data set has, without it. */
  readonly tasks?: readonly string[] | undefined;
  readonly splits?: readonly string[] | undefined;
  readonly json?: boolean | undefined;
  readonly fixList?: string | undefined;
};

/** Notes that are said one by one; the others are counted. */
const SAID_NOTES = 10;

/** Reads all of a data set; throws `Exit` at the end where something is wrong. */
export async function runCheckData(options: CheckDataOptions, terminal: Terminal): Promise<void> {
  const { splits = ['train', 'val'], fixList, json } = options;
  if (fixList !== undefined && splits.length !== 1) {
    throw new Error(`--fix-list: must go with one --split, got ${splits.join(',')}`);
  }
  const signal = terminal.interruption();
  const found: SplitFacts[] = [];
  for (const split of splits) {
    const facts = await checkSplit(specOf(options, split), {
      signal,
      onProgress: (done, total) => terminal.status(`checking ${split} ${done}/${total}`),
    }).catch((error: unknown) => {
      if (!signal.aborted || error !== signal.reason) throw error;
      throw new Exit(130, 'Interrupted: the data set is not read to its end');
    });
    terminal.status(null);
    found.push(facts);
    if (!json) for (const line of describeSplit(facts)) terminal.say(line);
  }
  const shared = sharedIds(found);
  if (json) {
    terminal.say(JSON.stringify({ splits: found.map(withoutGood), in_several_splits: shared }, null, 2));
  } else if (shared.length > 0) {
    terminal.say(`note        ${shared.length} images stand in several splits, such as "${shared[0]}"`);
  }
  if (fixList !== undefined) writeList(fixList, found[0]!, terminal, json);
  const problems = found.reduce((sum, each) => sum + each.problems.length, 0);
  if (problems > 0) throw new Exit(1, `check-data: ${problems} ${problems === 1 ? 'problem' : 'problems'}`);
}

function specOf({ pascal, nyud, data, tasks }: CheckDataOptions, split: string): DatasetSpec {
  const given = [pascal, nyud, data].filter((root) => root !== undefined);
  if (given.length !== 1) throw new Error('check-data: one of --pascal, --nyud and --data must be given');
  const spec = (): DatasetSpec => {
    if (pascal !== undefined) return { kind: 'pascal', root: pascal, split, tasks: [] };
    if (nyud !== undefined) return { kind: 'nyud', root: nyud, split, tasks: [] };
    const layout = readDataFile(data!);
    return { kind: 'folder', root: layout.root, layout, split, tasks: [] };
  };
  const whole = spec();
  // a task that the data set does not have is refused where the split is read
  return { ...whole, tasks: tasks === undefined ? datasetTasks(whole) : tasks as readonly DataTask[] };
}

/** What a split holds, in lines. */
function describeSplit({ split, images, good, sizes, tasks, problems, notes }: SplitFacts): string[] {
  const bad = images - good.length;
  const size = ([height, width]: readonly [number, number]): string => `${width}x${height}`;
  const more = notes.length - SAID_NOTES;
  return [
    `${split.padEnd(11)} ${images} images, ${bad === 0 ? 'all whole' : `${bad} with problems`}`,
    ...sizes ? [`sizes       ${size(sizes.smallest)} to ${size(sizes.largest)}, `
      + `median ${size(sizes.median)}`] : [],
    ...Object.entries(tasks).flatMap(([task, facts]) => describeTask(task, facts)),
    ...problems.map((problem) => `problem     ${problem}`),
    ...notes.slice(0, SAID_NOTES).map((note) => `note        ${note}`),
    ...more > 0 ? [`note        and ${more} more: --json lists them all`] : [],
  ];
}

function describeTask(
  task: string, { labels, without, pixels, ignored, classes, measured }: TaskFacts,
): string[] {
  const counted = pixels - ignored;
  const parts = [
    `${labels} labels`,
    ...without > 0 ? [`${without} without`] : [],
    `${percent(ignored, pixels)} of the pixels ignored`,
    ...measured ? [`${short(measured.min)} to ${short(measured.max)}, mean ${short(measured.mean)}`] : [],
  ];
  const seen = classes.filter((each) => each.pixels > 0)
    .map((each) => `${each.name} ${percent(each.pixels, counted)}`);
  const unseen = classes.filter((each) => each.pixels === 0).map(({ name }) => name);
  return [
    `${task.padEnd(11)} ${parts.join(', ')}`,
    ...seen.length > 0 ? wrapped(seen) : [],
    ...unseen.length > 0 && labels > 0 ? wrapped(unseen, 'in no image: ') : [],
  ];
}

const percent = (part: number, whole: number): string =>
  whole === 0 ? '0 %' : `${Number((100 * part / whole).toPrecision(3))} %`;
const short = (value: number): string => String(Number(value.toPrecision(4)));

/** A list in lines of about a hundred columns, set in. */
function wrapped(words: readonly string[], begin = ''): string[] {
  const lines = [begin];
  words.forEach((word, i) => {
    const text = i + 1 < words.length ? `${word}, ` : word;
    if (lines.at(-1)!.length + text.length > 90) lines.push('');
    lines[lines.length - 1] += text;
  });
  return lines.map((line) => ' '.repeat(12) + line.trimEnd());
}

function sharedIds(found: readonly SplitFacts[]): string[] {
  const seen = new Set<string>();
  return found.flatMap(({ good }) => good).filter((id) => seen.size === seen.add(id).size);
}

const withoutGood = ({ good, ...rest }: SplitFacts): object => ({ ...rest, whole: good.length });

function writeList(path: string, { good, images }: SplitFacts, terminal: Terminal, json = false): void {
  if (good.length === 0) throw new Error(`--fix-list: no image of ${images} is whole, nothing is written`);
  writeBytes(path, [Buffer.from(good.map((id) => `${id}\n`).join(''))]);
  if (!json) terminal.say(`list        ${good.length} of ${images} images in "${path}"`);
}
