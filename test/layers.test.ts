import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { forbiddenImports, oversized, shaderTextInSource } from '../scripts/rules.ts';

const ROOT = join(import.meta.dirname, '..');

/** A project that holds just these files. */
function project(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'mtlora-rules-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

test('src/ imports only downwards', () => {
  expect(forbiddenImports(ROOT)).toEqual([]);
});

test('src/ holds no WGSL', () => {
  expect(shaderTextInSource(ROOT)).toEqual([]);
});

test('forbiddenImports() names what points up, sideways or at the GPU from elsewhere', () => {
  const root = project({
    'src/gpu/a.ts': "import { x } from '../ops/b.ts';\nimport { create } from 'webgpu';\n",
    'src/ops/b.ts': "import {\n  y,\n} from '../gpu/a.ts';\nexport type { Z } from '../train/c.ts';\n",
    'src/ops/e.ts': "import 'webgpu';\nimport { k } from '../../kernels/k.ts';\n",
    'kernels/k.ts': "import { y } from '../src/ops/b.ts';\nimport { l } from './lib/l.ts';\n",
    'src/data/d.ts': "const a = await import('../gpu/a.ts');\nimport { readFileSync } from 'node:fs';\n",
    'src/train/c.ts': "import '../data/d.ts';\nimport '../cli.ts';\nimport '../../scripts/f.mjs';\n",
  });
  expect(forbiddenImports(root).sort()).toEqual([
    'kernels/k.ts must not import src/ops/b.ts',
    'src/data/d.ts must not import src/gpu/a.ts',
    'src/gpu/a.ts must not import src/ops/b.ts',
    'src/ops/b.ts must not import src/train/c.ts',
    'src/ops/e.ts must not import webgpu',
    'src/train/c.ts must not import scripts/f.mjs',
    'src/train/c.ts must not import src/cli.ts',
  ]);
});

test('oversized() counts lines of sources and kernels, and columns everywhere', () => {
  const root = project({
    'src/gpu/a.ts': 'x\n'.repeat(251),
    'src/gpu/b.ts': 'x\n'.repeat(250),
    'kernels/k.wgsl': 'x\n'.repeat(151),
    'test/t.test.ts': `${'x\n'.repeat(400)}${'y'.repeat(111)}\n`,
  });
  expect(oversized(root).sort()).toEqual([
    'kernels/k.wgsl must have 150 lines at most, got 151',
    'src/gpu/a.ts must have 250 lines at most, got 251',
    'test/t.test.ts:401 must have 110 columns at most, got 111',
  ]);
});

test('shaderTextInSource() finds a shader in a string, and lets a pattern that reads shaders be', () => {
  const root = project({
    'src/ops/a.ts': 'const code = `fn main(x: u32) -> f32 { return 1.0; }`;',
    'src/ops/b.ts': 'const code = `@group(0) @binding(1) var<storage> x: array<f32>;`;',
    'kernels/k.ts': 'export const code = (): string => `fn main(x: u32) { }`;',
    'src/gpu/c.ts': String.raw`const pattern = /@group\(0\)\s*@binding\((\d+)\)\s*var<(uniform|storage)/;`,
  });
  expect(shaderTextInSource(root).sort()).toEqual([
    'src/ops/a.ts must hold no WGSL: it belongs in kernels/',
    'src/ops/b.ts must hold no WGSL: it belongs in kernels/',
  ]);
});
