import type { Dispatch, Program } from './program.ts';
import type { Storage } from './storage.ts';
import { withAnswers, type Ask, type Choice } from './tuning.ts';

/** Launches that belong together, and their plain form: two bodies that write the same. */
export type Region = {
  /** What is computed, with its shape, for a person. */
  readonly what: string;
  readonly fast: () => void;
  readonly plain: () => void;
  /** Makes what both read, where any numbers would not do. */
  readonly before?: (() => void) | undefined;
  /** Inputs that hold whole numbers, and what these are below. */
  readonly below?: ReadonlyMap<Storage, number> | undefined;
};

/** A region that asked for constants, as every answer makes it. */
export type Explored = {
  readonly what: string;
  readonly plain: readonly Dispatch[];
  readonly before: readonly Dispatch[];
  readonly below: ReadonlyMap<Storage, number>;
  readonly usual: readonly Dispatch[];
  readonly asks: readonly (Pick<Ask, 'family' | 'shape'> & { readonly candidates: readonly Candidate[] })[];
};
type Candidate = { readonly choice: Choice; readonly launches: readonly Dispatch[] };
type Explorer = (region: Explored) => void;

let inside = false;
let explorer: Explorer | null = null;

/** Has every region that is traced until `body` ends told to `tell`: for a tuner. */
export async function exploring<T>(tell: Explorer, body: () => Promise<T>): Promise<T> {
  explorer = tell;
  try {
    return await body();
  } finally {
    explorer = null;
  }
}

/** Appends a region's fast launches, or, where they are known to compute something else, its plain ones. */
export function appendRegion(program: Program, region: Region): void {
  const { gpu: { guard }, dispatches } = program;
  if (inside || (!guard && !explorer)) {
    region.fast();
    return;
  }
  inside = true;
  try {
    const { what, below = new Map<Storage, number>() } = region;
    const fast = launchesOf(program, region.fast);
    const plain = launchesOf(program, () => usually(region.plain));
    const before = launchesOf(program, () => usually(region.before ?? (() => {})));
    if (explorer) explore(program, region, { what, below, plain, before }, explorer);
    dispatches.push(...guard ? guard.choose({ what, below, fast, plain, before }) : fast);
  } finally {
    inside = false;
  }
}

const usually = <T>(body: () => T): T => withAnswers(() => undefined, body);

function explore(
  program: Program, { fast }: Region, known: Pick<Explored, 'what' | 'below' | 'plain' | 'before'>,
  tell: Explorer,
): void {
  const asked = new Map<string, Ask>();
  const keyOf = ({ family, shape }: Ask): string => `${family} ${shape}`;
  const traced = (answer: (ask: Ask) => Choice | undefined): Dispatch[] =>
    launchesOf(program, () => withAnswers(answer, fast));
  const usual = traced((ask) => {
    asked.set(keyOf(ask), ask);
    return undefined;
  });
  if (asked.size === 0) return;
  tell({
    ...known, usual,
    asks: [...asked].map(([key, { family, shape, candidates }]) => ({
      family, shape,
      candidates: candidates().map((choice) => ({
        choice, launches: traced((other) => keyOf(other) === key ? choice : undefined),
      })),
    })),
  });
}

/** What `body` launches, taken out of the program again. @throws Error where others' launches are among it */
function launchesOf({ dispatches, pending }: Program, body: () => void): Dispatch[] {
  const from = dispatches.length;
  const waiting = [...pending.keys()];
  body();
  const made = waiting.find((storage) => !pending.has(storage));
  if (made) throw new Error(`a region must not need "${made.label}", which waits: one form would make it`);
  return dispatches.splice(from);
}
