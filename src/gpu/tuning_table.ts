import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AdapterSummary } from './adapters.ts';
import type { Ask, Choice } from './tuning.ts';

const SHIPPED = join(fileURLToPath(new URL('../../kernels/', import.meta.url)), 'tuned');

/** By family, then by class of shapes. */
export type Choices = Readonly<Record<string, Readonly<Record<string, Choice>>>>;

type Say = (line: string) => void;

/** Choices for one adapter: what the project brings for such ones, over it what the user's cache holds. */
export class TuningTable {
  readonly #choices: readonly Choices[];
  readonly #warn: Say;
  readonly #warned = new Set<string>();

  constructor(choices: readonly Choices[], warn: Say) {
    this.#choices = choices;
    this.#warn = warn;
  }

  /** What was tuned, unless the family no longer knows it: then a warning, once. */
  get({ family, shape, candidates }: Ask): Choice | undefined {
    const found = this.#choices.map((each) => each[family]?.[shape]).find((choice) => choice !== undefined);
    if (found === undefined) return undefined;
    const known = candidates().find((candidate) => same(candidate, found));
    const name = `${family}, ${shape}`;
    if (!known && !this.#warned.has(name)) {
      this.#warn(`${JSON.stringify(found)}, tuned for ${name}, is left out: it is none of its candidates`);
      this.#warned.add(name);
    }
    return known;
  }
}

function same(a: Choice, b: Choice): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** Where a user's own choices for an adapter lie. */
export function tunedFile(folder: string, { name }: AdapterSummary): string {
  return join(folder, `tuned-${name.replaceAll(/[^\w.-]+/g, '-')}.json`);
}

/** Reads what there is for an adapter. A file that is damaged or of another driver is left out, and told. */
export function readTuning(adapter: AdapterSummary, folder: string | null, warn: Say): TuningTable {
  const shipped = globSync('*.json', { cwd: SHIPPED }).sort().flatMap((file) => {
    const { adapters, choices } = parse(join(SHIPPED, file));
    return adapter.name.toLowerCase().includes(String(adapters)) ? [choices] : [];
  });
  const own = folder && tunedFile(folder, adapter);
  return new TuningTable([...own ? readOwn(own, adapter, warn) : [], ...shipped], warn);
}

function readOwn(file: string, { name, driver }: AdapterSummary, warn: Say): Choices[] {
  try {
    const content = parse(file);
    if (content.adapter === name && content.driver === driver) return [content.choices];
    throw new Error(`it is of "${content.adapter}", ${content.driver}, and this is "${name}", ${driver}`);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    warn(`"${file}" is left out: ${(error as Error).message}: tune again, or delete it`);
    return [];
  }
}

function parse(file: string): { choices: Choices } & Readonly<Record<string, unknown>> {
  const content = JSON.parse(readFileSync(file, 'utf8')) as { choices?: unknown } | null;
  const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const all = (value: unknown, holds: (each: unknown) => boolean): boolean =>
    isRecord(value) && Object.values(value).every(holds);
  const isChoice = (value: unknown): boolean => all(value, (each) => typeof each === 'number');
  if (!isRecord(content) || !all(content.choices, (family) => all(family, isChoice))) {
    throw new Error('it must hold choices: numbers by family, class of shapes and name');
  }
  return content as { choices: Choices };
}
