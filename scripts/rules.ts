// The house rules that a machine can hold: which room may import which, how long a file and a line may
// be, and that WGSL lives in kernels/. Each gives one sentence for every place that breaks it.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const MODEL = ['gpu', 'autograd', 'ops', 'swin', 'mtlora'];

/**
 * What each room may import beside itself: what lies below it. `kernels` holds the writers of generated WGSL.
 * `data` knows no GPU; the model takes host tensors and the random numbers of its start values from it.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  kernels: [],
  gpu: [],
  autograd: ['gpu'],
  ops: ['kernels', 'gpu', 'autograd'],
  swin: ['gpu', 'autograd', 'ops'],
  mtlora: ['gpu', 'autograd', 'ops', 'swin', 'data'],
  data: [],
  train: [...MODEL, 'data'],
  'index.ts': [...MODEL, 'data', 'train'],
  'cli.ts': [...MODEL, 'data', 'train', 'index.ts'],
};

const SOURCES = '{src,kernels}/**/*.{ts,mts,mjs}';
const LIMITS = [
  { files: SOURCES, lines: 250 },
  { files: 'kernels/**/*.wgsl', lines: 150 },
  { files: '{test,bench,scripts,bin}/**/*.{ts,mts,mjs}', lines: Infinity },
  { files: '*.config.ts', lines: Infinity },
];
const COLUMNS = 110;
const WGSL = new RegExp([
  String.raw`@compute\s+@workgroup_size`,
  String.raw`@group\(\d+\)\s*@binding\(\d+\)\s*var<`,
  String.raw`\bfn \w+\([^)]*\)\s*(->[^{]*)?\{`,
].join('|'));

/** `target` is a path from the root, or the name of a package. */
type Import = { readonly file: string; readonly target: string; readonly isFile: boolean };

/** Every import of `src/` and `kernels/` that its room may not make. */
export function forbiddenImports(root: string): string[] {
  return sources(root).flatMap((file) => importsOf(root, file)).filter(({ file, target, isFile }) => {
    if (!isFile) return target === 'webgpu' && room(file) !== 'gpu';
    return room(target) !== room(file) && !ROOMS[room(file)]?.includes(room(target));
  }).map(({ file, target }) => `${file} must not import ${target}`);
}

const OTHERS = ['**/node_modules/**'];

/** Files and lines that are too long to be read at once. */
export function oversized(root: string): string[] {
  const found = (files: Parameters<typeof globSync>[0]): string[] =>
    globSync(files, { cwd: root, exclude: OTHERS });
  return LIMITS.flatMap(({ files, lines: limit }) => found(files).flatMap((file) => {
    const lines = read(root, file).trimEnd().split('\n');
    const columns = lines.map((line) => [...line].length);
    const wide = columns.flatMap((got, i) => tooLong(`${file}:${i + 1}`, 'columns', COLUMNS, got));
    return [...tooLong(file, 'lines', limit, lines.length), ...wide];
  }));
}

function tooLong(place: string, unit: string, limit: number, got: number): string[] {
  return got > limit ? [`${place} must have ${limit} ${unit} at most, got ${got}`] : [];
}

/** Shader text outside of kernels/, where no editor and no validator would see it. */
export function shaderTextInSource(root: string): string[] {
  return sources(root).filter((file) => room(file) !== 'kernels' && WGSL.test(read(root, file)))
    .map((file) => `${file} must hold no WGSL: it belongs in kernels/`);
}

function sources(root: string): string[] {
  return globSync(SOURCES, { cwd: root, exclude: OTHERS });
}

function read(root: string, file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** `src/ops/linear.ts` is of room "ops", `src/cli.ts` of "cli.ts", `kernels/x.ts` of "kernels". */
function room(file: string): string {
  const [top, second] = file.split('/');
  return (top === 'src' ? second : top)!;
}

function importsOf(root: string, file: string): Import[] {
  const text = read(root, file);
  const found = text.matchAll(/^(?:import|export)\b[^'"]*?['"]([^'"]+)['"]|\bimport\('([^']+)'\)/gm);
  return [...found].map(([, fixed, dynamic]) => {
    const target = (fixed ?? dynamic)!;
    const isFile = target.startsWith('.');
    return { file, target: isFile ? join(dirname(file), target) : target, isFile };
  });
}
