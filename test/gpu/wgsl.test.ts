import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadKernel, parseKernel, placeOfLine } from '../../src/gpu/wgsl.ts';

const KERNEL = `// a kernel
const WG2 = 2u;                 // tune: 1 2 4
alias Scalar = f32;             // tune: f32 f16
struct Params { rows: u32, shift: i32, eps: f32, zero: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> x: array<vec4f>;   // not: var<storage, read> z: array<f32>;
@group(0) @binding(1)
var<storage, read_write> y: array<Scalar>;
@compute @workgroup_size(WG2, 8)
fn forward() {}
@compute @workgroup_size(64) fn backward() {}
`;

test('parseKernel() reads bindings, parameters and entry points off the text', () => {
  const source = parseKernel('kernels/k.wgsl', KERNEL);
  expect([...source.bindings.values()]).toEqual([
    { name: 'params', index: 0, access: 'uniform', type: 'Params' },
    { name: 'x', index: 3, access: 'read', type: 'array<vec4f>' },
    { name: 'y', index: 1, access: 'read_write', type: 'array<Scalar>' },
  ]);
  expect(source.params).toEqual([
    { name: 'rows', type: 'u32' }, { name: 'shift', type: 'i32' }, { name: 'eps', type: 'f32' },
    { name: 'zero', type: 'u32' },
  ]);
  expect(source.entries).toEqual(new Map([
    ['forward', { workgroupThreads: 16 }], ['backward', { workgroupThreads: 64 }],
  ]));
});

test('parseKernel() sets tuning constants, numbers as the kind that the default is, and types', () => {
  const { code, entries } = parseKernel('kernels/k.wgsl', KERNEL, { WG2: 4, Scalar: 'f16' });
  expect(code.split('\n').slice(1, 3)).toEqual([
    'const WG2 = 4u;                 // tune: 1 2 4', 'alias Scalar = f16;             // tune: f32 f16',
  ]);
  expect(entries.get('forward')).toEqual({ workgroupThreads: 32 });
});

test('parseKernel() refuses a tuning constant that the kernel does not have', () =>
  expect(() => parseKernel('kernels/k.wgsl', KERNEL, { TILE: 4 }))
    .toThrow('kernels/k.wgsl: the kernel has no tuning constant "TILE"'));

test('parseKernel() refuses parameters that are no single number', () =>
  expect(() => parseKernel('kernels/k.wgsl', 'struct Params { a: u32, b: vec2f }'))
    .toThrow('kernels/k.wgsl: a field of Params must be a u32, i32 or f32, got "b: vec2f"'));

test('parseKernel() refuses a workgroup size that it cannot know', () =>
  expect(() => parseKernel('kernels/k.wgsl', '@compute @workgroup_size(N) fn forward() {}'))
    .toThrow('kernels/k.wgsl: the workgroup size "N" must be a number or a constant'));

test('loadKernel() appends the libraries of the header, and knows which line is of which file', () => {
  const source = loadKernel('dropout');
  const lines = source.code.split('\n');
  const libraries = source.parts.map(({ file }) => file);
  expect(libraries[0]).toBe('kernels/dropout.wgsl');
  expect(libraries).toContain('kernels/lib/philox.wgsl');
  expect(source.bindings.get('live')?.access).toBe('uniform');
  const at = 1 + lines.findIndex((line) => line.startsWith('fn multiply_high('));
  const own = readFileSync('kernels/lib/philox.wgsl', 'utf8').split('\n');
  const line = 1 + own.findIndex((text) => text.startsWith('fn multiply_high('));
  expect(placeOfLine(source, at)).toBe(`kernels/lib/philox.wgsl:${line}`);
  expect(placeOfLine(source, 1)).toBe('kernels/dropout.wgsl:1');
});
