import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { AdapterSummary } from './adapters.ts';

/** What became of a trial of fast launches against their plain form. */
export type Verdict = {
  /** What was tried, and what was found, for a person. */
  readonly says: string;
  readonly agrees: boolean;
};

type Stored = Readonly<Record<string, Verdict>>;
type Say = (line: string) => void;

// the oldest go first
const MOST = 4096;

/** Verdicts on one adapter with one driver, kept in a file of the user's cache where there is a folder. */
export class Verdicts {
  readonly #adapter: AdapterSummary;
  readonly #file: string | null;
  readonly #warn: Say;
  readonly #known: Map<string, Verdict>;

  constructor(adapter: AdapterSummary, folder: string | null, warn: Say) {
    this.#adapter = adapter;
    this.#file = folder && join(folder, `kernels-${adapter.name.replaceAll(/[^\w.-]+/g, '-')}.json`);
    this.#warn = warn;
    this.#known = new Map(Object.entries(this.#read()));
  }

  get(key: string): Verdict | undefined {
    return this.#known.get(key);
  }

  /** Keeps a verdict for as long as the process runs. */
  add(key: string, verdict: Verdict): void {
    this.#known.set(key, verdict);
  }

  /** Adds verdicts to what the file holds by now: other processes write it too. */
  keep(found: ReadonlyMap<string, Verdict>): void {
    if (!this.#file || found.size === 0) return;
    const verdicts = Object.entries({ ...this.#read(), ...Object.fromEntries(found) }).slice(-MOST);
    const { name: adapter, driver } = this.#adapter;
    const text = JSON.stringify({ adapter, driver, verdicts: Object.fromEntries(verdicts) }, null, 1);
    try {
      mkdirSync(dirname(this.#file), { recursive: true });
      writeFileSync(`${this.#file}.${process.pid}`, `${text}\n`);
      renameSync(`${this.#file}.${process.pid}`, this.#file);
    } catch (error) {
      this.#warn(`cannot keep what was checked, so that it will be again: ${(error as Error).message}`);
    }
  }

  /** What the file holds of this adapter and driver: nothing where it is of another driver's time. */
  #read(): Stored {
    if (!this.#file) return {};
    try {
      const { adapter, driver, verdicts } = parse(readFileSync(this.#file, 'utf8'));
      return adapter === this.#adapter.name && driver === this.#adapter.driver ? verdicts : {};
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
      this.#warn(`"${this.#file}" is left aside and written anew: ${(error as Error).message}`);
      return {};
    }
  }
}

function parse(text: string): { adapter: string; driver: string; verdicts: Stored } {
  const content = JSON.parse(text) as Record<string, unknown> | null;
  const { adapter, driver, verdicts } = content ?? {};
  const isVerdict = (value: Partial<Verdict> | null): boolean =>
    typeof value?.says === 'string' && typeof value.agrees === 'boolean';
  if (typeof adapter !== 'string' || typeof driver !== 'string' || typeof verdicts !== 'object' || !verdicts
    || !Object.values(verdicts).every(isVerdict)) {
    throw new Error('it does not hold an adapter, a driver and verdicts');
  }
  return { adapter, driver, verdicts: verdicts as Stored };
}
