// The house rules that a machine can hold: which room may import which, how long a file and a line may
// be, and that WGSL lives in kernels/. Each gives one sentence for every place that breaks it.
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const MODEL = ['gpu', 'autograd', 'ops', 'swin', 'mtlora'];

/** What each room of src/ may import beside itself: what lies below it. `data` knows no GPU and lies beside the model,
 * which takes host tensors and the random numbers of its start values from it. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  gpu: [],
  autograd: ['gpu'],
  ops: ['gpu', 'autograd'],
  swin: ['gpu', 'autograd', 'ops'],
  mtlora: ['gpu', 'autograd', 'ops', 'swin', 'data'],
  data: [],
  train: [...MODEL, 'data'],
  'index.ts': [...MODEL, 'data', 'train'],
  'cli.ts': [...MODEL, 'data', 'train', 'index.ts'],
};

const LINES: Readonly<Record<string, number>> = { src: 250, kernels: 150 };
const COLUMNS = 110;
const CODE = ['{src,test,bench,scripts}/**/*.{ts,mts,mjs}', 'bin/*.mjs', '*.config.ts', 'kernels/**/*.wgsl'];
const WGSL = new RegExp([
  String.raw`@compute\s+@workgroup_size`,
  String.raw`@group\(\d+\)\s*@binding\(\d+\)\s*var<`,
  String.raw`\bfn \w+\([^)]*\)\s*(->[^{]*)?\{`,
].join('|'));

/** `target` is a path from the root, or the name of a package. */
type Import = { readonly file: string; readonly target: string; readonly isFile: boolean };

/** Every import of `src/` that its room may not make. */
export function forbiddenImports(root: string): string[] {
  return sources(root).flatMap((file) => importsOf(root, file)).filter(({ file, target, isFile }) => {
    if (!isFile) return target === 'webgpu' && room(file) !== 'gpu';
    if (!target.startsWith('src/')) return true;
    return room(target) !== room(file) && !ROOMS[room(file)]?.includes(room(target));
  }).map(({ file, target }) => `${file} must not import ${target}`);
}

/** Files and lines that are too long to be read at once. */
export function oversized(root: string): string[] {
  return globSync(CODE, { cwd: root }).flatMap((file) => {
    const lines = read(root, file).trimEnd().split('\n');
    const limit = LINES[file.split('/')[0]!] ?? Infinity;
    const tall = lines.length > limit ? [`${file} must have ${limit} lines at most, got ${lines.length}`] : [];
    return [...tall, ...lines.flatMap((line, i) => {
      const columns = [...line].length;
      return columns > COLUMNS ? [`${file}:${i + 1} must have ${COLUMNS} columns at most, got ${columns}`] : [];
    })];
  });
}

/** Shader text outside of kernels/, where no editor and no validator would see it. */
export function shaderTextInSource(root: string): string[] {
  return sources(root).filter((file) => WGSL.test(read(root, file)))
    .map((file) => `${file} must hold no WGSL: it belongs in kernels/`);
}

function sources(root: string): string[] {
  return globSync('src/**/*.{ts,mts,mjs}', { cwd: root });
}

function read(root: string, file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

/** `src/ops/linear.ts` is of room "ops", `src/cli.ts` of room "cli.ts". */
function room(file: string): string {
  return file.split('/')[1]!;
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
