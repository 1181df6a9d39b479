// docs/extending.md, followed to the letter in a copy of the sources.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { parameterTable, sizeOf } from '../src/mtlora/names.ts';
import { loadConfig, modelSpec } from '../src/train/config.ts';
import { folderWith } from './support/folder.ts';
import { fencesOf } from './support/pages.ts';

const ROOT = join(import.meta.dirname, '..');
const PAGE = 'docs/extending.md';

/** The page's example that has this text in it. */
function exampleWith(language: string, text: string): string {
  const found = fencesOf(PAGE, language).filter((example) => example.includes(text));
  expect(found, text).toHaveLength(1);
  return found[0]!;
}

/** A copy of what an op or a decoder needs, with these files added. */
function copyWith(files: Readonly<Record<string, string>>): string {
  const copy = folderWith({ 'test/x': '' });
  for (const path of ['src', 'kernels', 'test/support', 'scripts', 'package.json', 'vitest.config.ts']) {
    cpSync(join(ROOT, path), join(copy, path), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    writeFileSync(join(copy, path), text);
  }
  return copy;
}

test('docs/extending.md adds an op whose test passes as it stands', () => {
  const cwd = copyWith({
    'kernels/silu.wgsl': exampleWith('wgsl', '// silu:'),
    'src/ops/silu.ts': exampleWith('ts', 'export function silu'),
    'test/ops/silu.test.ts': exampleWith('ts', 'gradcheck(gpu()'),
  });
  const args = [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--root', cwd, '--reporter', 'json'];
  const { stdout } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
  const report = JSON.parse(stdout.slice(stdout.indexOf('{'))) as Record<string, number | boolean>;
  expect(report).toMatchObject({ success: true, numPassedTests: 4, numTotalTests: 4 });
});

test('docs/extending.md adds a decoder that finds all that it names', () => {
  const decoder = exampleWith('ts', 'export function linearHead');
  const cwd = copyWith({ 'src/mtlora/decoders/linear.ts': decoder });
  const ask = 'import("./src/mtlora/decoders/linear.ts").then((all) => console.log(typeof all.linearHead))';
  const said = execFileSync(process.execPath, ['-e', ask], { cwd, encoding: 'utf8' });
  expect(said.trim()).toBe('function');
});

test('docs/extending.md describes Swin-B, whose backbone has as many parameters as the stock one', () => {
  const yaml = exampleWith('yaml', 'swin_base');
  const spec = modelSpec(loadConfig(join(folderWith({ 'b.yaml': yaml }), 'b.yaml')).config);
  const own = parameterTable(spec)
    .filter(({ name, kind }) => kind === 'param' && name.startsWith('backbone.'));
  const count = own.reduce((sum, entry) => sum + sizeOf(entry), 0);
  expect(count + 2 * 1024).toBe(86_743_224);               // stock Swin ends in a norm, which this one lacks
});
