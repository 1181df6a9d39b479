// Leaves of the configuration schema. YAML and `--opts` deliver text, whose meaning the schema alone decides;
// flags deliver numbers and booleans; every leaf takes both.
import { z } from 'zod';

export type Leaf<T> = z.ZodType<T, unknown>;

/**
 * A field that must be what `read` accepts; `expected` completes the sentence "must be …". Both it
 * and the `choices` are kept as the field's `meta()`.
 */
export function leaf<T>(
  expected: string, read: (value: unknown) => T | undefined, choices: readonly string[] = [],
): Leaf<T> {
  return z.unknown().transform((value, context) => {
    const result = read(value);
    if (result !== undefined) return result;
    context.addIssue({ code: 'custom', message: `must be ${expected}` });
    return z.NEVER;
  }).meta({ expected, choices });
}

/** Drops quotes, which survive in lists written as Python literals. */
function unquoted(text: string): string {
  return /^(['"])(.*)\1$/.exec(text)?.[2] ?? text;
}

const NUMBER = /^[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(e[-+]?\d+)?$/i;

function readNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value !== 'string' || !NUMBER.test(value.trim())) return undefined;
  return Number(value.replaceAll('_', ''));
}

/** As PyYAML: yes, on, true and their opposites, in lower, upper or title case. */
function readBoolean(value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'string') return undefined;
  const [, on, off] = /^(?:(true|True|TRUE|yes|Yes|YES|on|On|ON)|(false|False|FALSE|no|No|NO|off|Off|OFF))$/
    .exec(value) ?? [];
  return on ? true : off ? false : undefined;
}

function isNone(value: unknown): boolean {
  return value === null || (typeof value === 'string' && /^(None|null|Null|NULL|~|)$/.test(value));
}

/** A list, or a Python list or tuple written as text: `[1, 2]`, `(0.9, 0.999)`. */
function readList(value: unknown): unknown[] | undefined {
  if (Array.isArray(value)) return value;
  if (typeof value !== 'string') return undefined;
  const inner = /^\s*(?:\[(.*)\]|\((.*)\))\s*$/s.exec(value);
  const text = inner?.[1] ?? inner?.[2];
  if (text === undefined || /[[\]()]/.test(text)) return undefined;
  return text.split(',').map((item) => unquoted(item.trim())).filter((item) => item !== '');
}

type Range = { min?: number; max?: number; above?: number; integer?: boolean };

function inRange(value: number, { min = -Infinity, max = Infinity, above = -Infinity, integer }: Range) {
  return value >= min && value <= max && value > above && (!integer || Number.isInteger(value));
}

function describe({ min, max, above, integer }: Range, plural = false): string {
  const noun = integer ? 'whole number' : 'number';
  const bounds = min !== undefined && max !== undefined ? `from ${min} to ${max}`
    : [min === undefined ? '' : `of at least ${min}`, above === undefined ? '' : `above ${above}`,
      max === undefined ? '' : `of at most ${max}`].filter(Boolean).join(' and ');
  return `${plural ? `${noun}s` : `a ${noun}`}${bounds && ` ${bounds}`}`;
}

function readInRange(value: unknown, range: Range): number | undefined {
  const number = readNumber(value);
  return number !== undefined && inRange(number, range) ? number : undefined;
}

export function number(range: Range = {}): Leaf<number> {
  return leaf(describe(range), (value) => readInRange(value, range));
}

export function whole(min = 0): Leaf<number> {
  return number({ min, integer: true });
}

export function boolean(): Leaf<boolean> {
  return leaf('true or false', readBoolean);
}

export function text(): Leaf<string> {
  return leaf('text', (value) =>
    isNone(value) ? '' : typeof value === 'object' ? undefined : unquoted(String(value)));
}

export function oneOf<const T extends string>(...choices: T[]): Leaf<T> {
  const list = choices.map((choice) => `"${choice}"`).join(', ');
  return leaf(choices.length > 1 ? `one of ${list}` : list, (value) =>
    choices.find((choice) => typeof value === 'string' && choice === unquoted(value)), choices);
}

function readNumbers(value: unknown, range: Range): number[] | undefined {
  const numbers = readList(value)?.map((item) => readInRange(item, range));
  return numbers?.every((item) => item !== undefined) ? numbers : undefined;
}

/** A list of numbers; with `length`, of exactly that many. */
export function numbers(range: Range, length?: number): Leaf<number[]> {
  return leaf(`a list of ${length ?? ''} ${describe(range, true)}`.replace('  ', ' '), (value) => {
    const list = readNumbers(value, range);
    return list && (length === undefined || list.length === length) ? list : undefined;
  });
}

/** A number per stage, given as one number, a list of one or a list of four; comes out as four. */
export function perStage(range: Range): Leaf<number[]> {
  return leaf(`${describe(range)}, or a list of 1 or 4 such`, (value) => {
    const single = readInRange(value, range);
    const list = single === undefined ? readNumbers(value, range) : [single];
    if (list?.length === 1) return Array.from({ length: 4 }, () => list[0]!);
    return list?.length === 4 ? list : undefined;
  });
}

/** A list of texts, also written `a,b`; with `choices`, only of these. */
export function texts<T extends string = string>(choices?: readonly T[]): Leaf<T[]> {
  const expected = `a list of ${choices ? choices.map((choice) => `"${choice}"`).join(', ') : 'texts'}`;
  const allowed = (item: string): item is T => !choices || (choices as readonly string[]).includes(item);
  return leaf(expected, (value) => {
    const list = readList(value) ?? (typeof value === 'string' ? value.split(',') : undefined);
    const items = list?.map((item) => unquoted(String(item).trim())).filter((item) => item !== '');
    return items?.every(allowed) ? items : undefined;
  }, choices);
}

export function optional<T>(inner: Leaf<T>, expected: string): Leaf<T | null> {
  return leaf(expected, (value) => {
    if (isNone(value)) return null;
    const result = inner.safeParse(value);
    return result.success ? result.data : undefined;
  });
}

/** A field of the release that has no effect here: any value will do, none is kept. */
export function unused(): z.ZodOptional<z.ZodType<undefined, unknown>> {
  return z.unknown().transform(() => undefined).optional().meta({ unused: true });
}
