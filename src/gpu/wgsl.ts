import { readFileSync } from 'node:fs';
import { GpuError } from './errors.ts';

type Access = 'uniform' | 'read' | 'read_write';
export type Binding = {
  readonly name: string; readonly index: number; readonly access: Access; readonly type: string;
};
type ParamType = 'u32' | 'i32' | 'f32';
export type Tuning = Readonly<Record<string, number | string>>;

/** A file and the line of the whole text that it starts at. */
type Part = { readonly file: string; readonly start: number };

/**
 * A kernel's text and what it says about itself. The WGSL is the one source of binding numbers, of the order
 * of `Params` and of tuning defaults: nothing repeats them in TypeScript.
 */
export type KernelSource = {
  readonly file: string;
  readonly code: string;
  /** The kernel's own file, then the libraries that were appended to it. */
  readonly parts: readonly Part[];
  readonly bindings: ReadonlyMap<string, Binding>;
  readonly params: readonly { readonly name: string; readonly type: ParamType }[];
  readonly entries: ReadonlyMap<string, { readonly workgroupThreads: number }>;
};

const ROOT = new URL('../../kernels/', import.meta.url);
const TUNE_LINE = /^((?:const|alias)\s+(\w+)\s*=\s*)([^;]+)(;\s*\/\/ tune:.*)$/gm;
const BINDING = new RegExp(String.raw`@group\(0\)\s*@binding\((\d+)\)\s*`
  + String.raw`var<(uniform|storage)(?:,\s*(read|read_write))?>\s*(\w+)\s*:\s*([^;]+);`, 'g');
const ENTRY = /@compute\s*@workgroup_size\(([^)]*)\)\s*fn\s+(\w+)/g;
const texts = new Map<string, string>();

/** Reads `kernels/<file>.wgsl`, appends what it uses of `kernels/lib/`, and sets its tuning constants. */
export function loadKernel(file: string, tuning: Tuning = {}): KernelSource {
  const files = [file, ...librariesOf(textOf(file))];
  let start = 1;
  const parts = files.map((each) => {
    const part = { file: `kernels/${each}.wgsl`, start };
    start += textOf(each).split('\n').length;
    return part;
  });
  return parseKernel(`kernels/${file}.wgsl`, files.map(textOf).join('\n'), tuning, parts);
}

/** Reads the bindings, parameters and entry points out of WGSL text, which a generator may have written. */
export function parseKernel(
  file: string, text: string, tuning: Tuning = {}, parts: readonly Part[] = [{ file, start: 1 }],
): KernelSource {
  const code = tune(file, text, tuning);
  const plain = code.replace(/\/\/.*$/gm, '');
  const bindings = new Map<string, Binding>();
  for (const [, index, space, access, name, type] of plain.matchAll(BINDING)) {
    const kind = space === 'uniform' ? 'uniform' : (access ?? 'read') as Access;
    bindings.set(name!, { name: name!, index: Number(index), access: kind, type: type!.trim() });
  }
  const entries = new Map<string, { workgroupThreads: number }>();
  for (const [, size, name] of plain.matchAll(ENTRY)) {
    const threads = size!.split(',').map((term) => constant(plain, term.trim(), file));
    entries.set(name!, { workgroupThreads: threads.reduce((a, b) => a * b, 1) });
  }
  return { file, code, parts, bindings, params: paramsOf(file, plain), entries };
}

/** The values that a constant's line lists for tuning. */
export function listedValues(code: string, constant: string): number[] {
  const line = new RegExp(String.raw`^const ${constant}\b.*// tune:\s*([\d ]+)$`, 'm').exec(code);
  const values = line?.[1] ?? '';
  return values.split(/\s+/).filter(Boolean).map(Number);
}

/** `kernels/lib/row_sum.wgsl:9` for a line of a kernel's whole text. */
export function placeOfLine({ parts }: KernelSource, line: number): string {
  const { file, start } = parts.findLast((part) => part.start <= line)!;
  return `${file}:${line - start + 1}`;
}

function tune(file: string, text: string, tuning: Tuning): string {
  const unknown = new Set(Object.keys(tuning));
  const code = text.replace(TUNE_LINE, (line, head: string, name: string, value: string, tail: string) => {
    const chosen = tuning[name];
    unknown.delete(name);
    if (chosen === undefined) return line;
    const suffix = typeof chosen === 'number' && value.trim().endsWith('u') ? 'u' : '';
    return `${head}${chosen}${suffix}${tail}`;
  });
  for (const name of unknown) throw new GpuError(`${file}: the kernel has no tuning constant "${name}"`);
  return code;
}

function librariesOf(text: string): string[] {
  return [...text.matchAll(/^\/\/ uses\s+(.+)$/gm)].flatMap(([, names]) => names!.trim().split(/[\s,]+/));
}

function textOf(file: string): string {
  const known = texts.get(file);
  if (known !== undefined) return known;
  const text = readFileSync(new URL(`${file}.wgsl`, ROOT), 'utf8');
  texts.set(file, text);
  return text;
}

function paramsOf(file: string, plain: string): { name: string; type: ParamType }[] {
  const body = /struct\s+Params\s*\{([^}]*)\}/.exec(plain)?.[1];
  if (body === undefined) return [];
  return body.split(',').map((field) => field.trim()).filter(Boolean).map((field) => {
    const [, name, type] = /^(\w+)\s*:\s*(u32|i32|f32)$/.exec(field) ?? [];
    if (!name) throw new GpuError(`${file}: a field of Params must be a u32, i32 or f32, got "${field}"`);
    return { name, type: type as ParamType };
  });
}

function constant(plain: string, term: string, file: string): number {
  const literal = /^(\d+)u?$/.exec(term)?.[1]
    ?? new RegExp(`const\\s+${term}\\s*=\\s*(\\d+)u?\\s*;`).exec(plain)?.[1];
  if (literal !== undefined) return Number(literal);
  throw new GpuError(`${file}: the workgroup size "${term}" must be a number or a constant`);
}
