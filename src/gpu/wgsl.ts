import { readFileSync } from 'node:fs';
import { GpuError } from './errors.ts';

export type Access = 'uniform' | 'read' | 'read_write';
export type Binding = { readonly name: string; readonly index: number; readonly access: Access; readonly type: string };
export type ParamType = 'u32' | 'i32' | 'f32';
export type Tuning = Readonly<Record<string, number | string>>;

/**
 * A kernel's text and what it says about itself. The WGSL is the one source of binding numbers, of the order of
 * `Params` and of tuning defaults: nothing repeats them in TypeScript.
 */
export type KernelSource = {
  readonly file: string;
  readonly code: string;
  readonly bindings: ReadonlyMap<string, Binding>;
  readonly params: readonly { readonly name: string; readonly type: ParamType }[];
  readonly entries: ReadonlyMap<string, { readonly workgroupThreads: number }>;
};

const ROOT = new URL('../../kernels/', import.meta.url);
const texts = new Map<string, string>();

/** Reads `kernels/<file>.wgsl`, appends the parts of `kernels/lib/` that it uses, and sets its tuning constants. */
export function loadKernel(file: string, tuning: Tuning = {}): KernelSource {
  return parseKernel(`kernels/${file}.wgsl`, withLibraries(file), tuning);
}

/** Reads the bindings, parameters and entry points out of WGSL text, which a generator may have written. */
export function parseKernel(file: string, text: string, tuning: Tuning = {}): KernelSource {
  const code = tune(file, text, tuning);
  const plain = code.replace(/\/\/.*$/gm, '');
  const bindings = new Map<string, Binding>();
  const declared = /@group\(0\)\s*@binding\((\d+)\)\s*var<(uniform|storage)(?:,\s*(read|read_write))?>\s*(\w+)\s*:\s*([^;]+);/g;
  for (const [, index, space, access, name, type] of plain.matchAll(declared)) {
    const kind = space === 'uniform' ? 'uniform' : (access ?? 'read') as Access;
    bindings.set(name!, { name: name!, index: Number(index), access: kind, type: type!.trim() });
  }
  const entries = new Map<string, { workgroupThreads: number }>();
  for (const [, size, name] of plain.matchAll(/@compute\s*@workgroup_size\(([^)]*)\)\s*fn\s+(\w+)/g)) {
    const threads = size!.split(',').map((term) => constant(plain, term.trim(), file));
    entries.set(name!, { workgroupThreads: threads.reduce((a, b) => a * b, 1) });
  }
  return { file, code, bindings, params: paramsOf(file, plain), entries };
}

/** The constants that a kernel marks `// tune:`, with their defaults and the values to try. */
export function tuningSpace(file: string): Map<string, { value: string; choices: string[] }> {
  const space = new Map<string, { value: string; choices: string[] }>();
  for (const [, name, value, choices] of textOf(file).matchAll(TUNE_LINE)) {
    space.set(name!, { value: value!.trim(), choices: choices!.trim().split(/\s+/) });
  }
  return space;
}

const TUNE_LINE = /^(?:const|alias)\s+(\w+)\s*=\s*([^;]+);\s*\/\/ tune:(.*)$/gm;

function tune(file: string, text: string, tuning: Tuning): string {
  const unknown = new Set(Object.keys(tuning));
  const code = text.replace(TUNE_LINE, (line, name: string, value: string) => {
    const chosen = tuning[name];
    unknown.delete(name);
    if (chosen === undefined) return line;
    const suffix = typeof chosen === 'number' && value.trim().endsWith('u') ? 'u' : '';
    return line.replace(value, `${chosen}${suffix}`);
  });
  for (const name of unknown) throw new GpuError(`${file}: the kernel has no tuning constant "${name}"`);
  return code;
}

function withLibraries(file: string): string {
  const text = textOf(file);
  const used = [...text.matchAll(/^\/\/ uses\s+(.+)$/gm)].flatMap(([, names]) => names!.trim().split(/[\s,]+/));
  return [text, ...used.map(textOf)].join('\n');
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
  const literal = /^(\d+)u?$/.exec(term)?.[1] ?? new RegExp(`const\\s+${term}\\s*=\\s*(\\d+)u?\\s*;`).exec(plain)?.[1];
  if (literal === undefined) throw new GpuError(`${file}: the workgroup size "${term}" must be a number or a constant`);
  return Number(literal);
}
