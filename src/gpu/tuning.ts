import type { Gpu } from './device.ts';

/** Constants of a kernel family, by name. */
export type Choice = Readonly<Record<string, number>>;

/** What a launch asks for, and all that it may be given. */
export type Ask = {
  readonly family: string;
  /** The class of shapes. */
  readonly shape: string;
  readonly candidates: () => readonly Choice[];
};

type Answer = (ask: Ask) => Choice | undefined;

// who answers instead of the device's table
let forced: Answer | null = null;

/** The constants of a family for a class of shapes: what was tuned on such a device, else the usual ones. */
export function tuned<T extends Choice>(
  { tuning }: Gpu, family: string, shape: string, usual: T, candidates: () => readonly T[],
): T {
  const ask = { family, shape, candidates };
  return ((forced ? forced(ask) : tuning?.get(ask)) as T | undefined) ?? usual;
}

/** Traces `body` with answers of the caller's; where it gives none, the usual constants are taken. */
export function withAnswers<T>(answer: Answer, body: () => T): T {
  const outer = forced;
  forced = answer;
  try {
    return body();
  } finally {
    forced = outer;
  }
}

/** A class of sizes: the next power of two. */
export const upTo = (size: number): string => `≤${2 ** Math.ceil(Math.log2(Math.max(1, size)))}`;
