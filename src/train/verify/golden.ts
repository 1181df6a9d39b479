import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';
import { toFloat32, type HostTensor } from '../../data/host_tensor.ts';
import { readSafetensors } from '../../data/safetensors.ts';
import { failure, type Check } from './report.ts';

/** The golden tensors of one case. */
export type Golden = {
  readonly path: string;
  readonly names: readonly string[];
  has(name: string): boolean;
  tensor(name: string): HostTensor;
  /** The elements as f32, row-major. */
  values(name: string): Float32Array;
  shape(name: string): readonly number[];
  /** The names that begin with `prefix`, without it. */
  below(prefix: string): string[];
};

/** Reads `<folder>/<name>.safetensors`. */
export function readGolden(folder: string, name: string): Golden {
  const path = join(folder, `${name}.safetensors`);
  return goldenOf(path, readSafetensors(path).tensors);
}

function goldenOf(path: string, tensors: ReadonlyMap<string, HostTensor>): Golden {
  const tensor = (name: string): HostTensor => {
    const found = tensors.get(name);
    if (!found) throw new Error(`${path}: no tensor "${name}", which the case needs`);
    return found;
  };
  const names = [...tensors.keys()];
  return {
    path, names, tensor,
    has: (name) => tensors.has(name),
    values: (name) => toFloat32(tensor(name)),
    shape: (name) => tensor(name).shape,
    below: (prefix) => names.filter((name) => name.startsWith(prefix))
      .map((name) => name.slice(prefix.length)),
  };
}

/** The file with tensors that it leaves out. */
export function withTensors(golden: Golden, tensors: ReadonlyMap<string, HostTensor>): Golden {
  const stored = golden.names.map((name) => [name, golden.tensor(name)] as const);
  return goldenOf(golden.path, new Map([...stored, ...tensors]));
}

/** Parses a JSON file. @throws Error naming the file where it is missing or no JSON */
export function readJson(path: string): unknown {
  if (!existsSync(path)) throw new Error(`verify: no file "${path}"`);
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new Error(`verify: "${path}" must hold JSON, got ${(cause as Error).message}`, { cause });
  }
}

/** The entries of a file of cases, as they stand. */
export function readCases(path: string): unknown[] {
  const cases = readJson(path);
  if (!Array.isArray(cases)) throw new Error(`verify: "${path}" must hold a list of cases`);
  return cases;
}

/**
 * Verifies the cases of a file one after the other. What goes wrong in one is a failed check of its own, so
 * that it does not hide the others.
 */
export async function eachOf<Schema extends z.ZodType>(
  path: string, schema: Schema, verify: (given: z.infer<Schema>) => Check[] | Promise<Check[]>,
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const value of readCases(path)) {
    try {
      checks.push(...await verify(parseCase(schema, value, path)));
    } catch (error) {
      checks.push(failure(`${nameOf(value)} runs`, error));
    }
  }
  return checks;
}

/** The cases of a folder's `cases.json`. */
export function eachCase<Schema extends z.ZodType>(
  folder: string, schema: Schema, verify: (given: z.infer<Schema>) => Check[] | Promise<Check[]>,
): Promise<Check[]> {
  return eachOf(join(folder, 'cases.json'), schema, verify);
}

/**
 * One case in the form that `schema` describes. A key that it does not know may change the arithmetic, so
 * that one is an error and not passed over.
 */
export function parseCase<Schema extends z.ZodType>(
  schema: Schema, value: unknown, path: string,
): z.infer<Schema> {
  const { success, data, error } = schema.safeParse(withoutNotes(value));
  if (success) return data;
  const { path: field, message } = error.issues[0]!;
  const place = field.length > 0 ? `, ${field.join('.')}` : '';
  throw new Error(`verify: "${path}", case "${nameOf(value)}"${place}: ${message}`);
}

// what only says how the numbers came about
const NOTES = ['seed', 'note', 'noise32vs64'];

function withoutNotes(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !NOTES.includes(key)));
}

function nameOf(value: unknown): string {
  return typeof value === 'object' && value !== null && 'name' in value ? String(value.name) : '?';
}
