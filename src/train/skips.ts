// Samples that a run leaves out because a file of theirs is missing or damaged: nothing of it goes unsaid.
import type { LogEntry } from './run_folder.ts';

/** What was wrong, and how often a sample was left out for it. */
export type Skipped = ReadonlyMap<string, number>;

type Split = 'train' | 'val';

/** A line of the log: what was left out since the one before. */
export type SkipEntry = LogEntry & {
  readonly split: Split;
  readonly problems: Readonly<Record<string, number>>;
};

const SPLITS: Readonly<Record<Split, string>> = { train: 'training', val: 'validation' };
/** How many are listed at a run's end; the report and the log have all. */
const MOST_LISTED = 10;

/** What of `now` is not in `before` yet; null where nothing is. */
export function skippedSince(before: Skipped, now: Skipped): SkipEntry['problems'] | null {
  const fresh = [...now].map(([problem, times]) => [problem, times - (before.get(problem) ?? 0)] as const)
    .filter(([, times]) => times > 0);
  return fresh.length > 0 ? Object.fromEntries(fresh) : null;
}

/** All that a log tells of a split. */
export function skippedIn(entries: readonly SkipEntry[], split: Split): Skipped {
  const sums = new Map<string, number>();
  for (const { problems } of entries.filter((entry) => entry.split === split)) {
    for (const [problem, times] of Object.entries(problems)) {
      sums.set(problem, (sums.get(problem) ?? 0) + times);
    }
  }
  return sums;
}

/** How many samples of a log were left out: a sentence for each split that lacks any. */
export function skipTotals(entries: readonly SkipEntry[]): string[] {
  return (['train', 'val'] as const).flatMap((split) => {
    const sums = skippedIn(entries, split);
    const times = [...sums.values()].reduce((a, b) => a + b, 0);
    if (times === 0) return [];
    const often = times === 1 ? 'once' : `${times} times`;
    return [`a ${SPLITS[split]} sample ${often}, for ${sums.size} ${sums.size === 1 ? 'reason' : 'reasons'}`];
  });
}

/** The totals and what was wrong, for the end of a run. */
export function skipLines(entries: readonly SkipEntry[]): string[] {
  const problems = [...new Set(entries.flatMap((entry) => Object.keys(entry.problems)))];
  const more = problems.length - MOST_LISTED;
  return [
    ...skipTotals(entries).map((line) => `skipped    ${line}`),
    ...problems.slice(0, MOST_LISTED).map((problem) => `           ${problem}`),
    ...more > 0 ? [`           and ${more} more, which report.html lists`] : [],
  ];
}
