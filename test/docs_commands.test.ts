// What the pages tell the reader to type.
import { execFileSync } from 'node:child_process';
import {
  existsSync, globSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { expect, test } from 'vitest';
import { writeSafetensors } from '../src/data/safetensors.ts';
import { loadConfig, modelSpec } from '../src/train/config.ts';
import { runProgram } from '../src/train/commands/program.ts';
import { listFields } from '../src/train/config_walk.ts';
import { readDataFile } from '../src/train/data_file.ts';
import { folderWith } from './support/folder.ts';
import { commandsOf, fencesOf, PAGES, wordsOf } from './support/pages.ts';
import { idleProgram } from './support/program.ts';
import { randomState } from './support/tiny_model.ts';
import { useTinyRun } from './support/tiny_run.ts';

const tiny = useTinyRun();
const ROOT = join(import.meta.dirname, '..');

test('the pages have commands to try', () => {
  const counts = Object.fromEntries(PAGES.map((page) => [page, fencesOf(page, 'sh').length]));
  expect(counts['README.md']).toBeGreaterThan(1);
  expect(counts['docs/getting_started.md']).toBeGreaterThan(8);
});

test.each(PAGES)('%s shows commands that the command line takes', async (page) => {
  const scripts = JSON.parse(readFileSync('package.json', 'utf8')).scripts as Record<string, string>;
  for (const command of fencesOf(page, 'sh').flatMap(commandsOf)) {
    const words = wordsOf(command.replace(/^npx /, ''));
    const [first, second, third] = words;
    if (first === 'npm') {
      const script = second === 'run' ? third! : second!;
      expect(Object.keys(scripts), `${page}: ${command}`).toContain(script);
      continue;
    }
    expect(first, `${page}: ${command}`).toBe('mtlora-train');
    const { program, text } = idleProgram();
    await runProgram(program, words.slice(1)).catch(() => {
      throw new Error(`${page}: ${command}: ${text()}`);
    });
  }
});

/** Flags of other programs that the pages speak of. */
const FOREIGN = ['--gpus', '--summary', '--logdir'];
/** Flags that the benches' own headers explain. */
const OF_BENCHES = readdirSync('bench').filter((name) => name.endsWith('.ts')).flatMap((name) => {
  const header = /^(?:\/\/.*\n)+/.exec(readFileSync(join('bench', name), 'utf8'))?.[0] ?? '';
  return header.match(/--[a-z][\w-]*/g) ?? [];
});

test.each(PAGES)('%s names flags and fields that there are', (page) => {
  const { program } = idleProgram();
  const flags = new Set(['--help', ...FOREIGN, ...OF_BENCHES,
    ...[program, ...program.commands].flatMap(({ options }) => options.map(({ long }) => long))]);
  const code = [...readFileSync(page, 'utf8').matchAll(/`([^`\n]+)`/g)].map(([, text]) => text!).join('\n');
  const named = [...code.matchAll(/(?<![\w-])--[a-z][\w-]*/g)].map(([flag]) => flag);
  expect(named.filter((flag) => !flags.has(flag))).toEqual([]);
  const fields = listFields().map(({ path }) => path);
  const meant = [...code.matchAll(/\b(?:DATA|MODEL|TRAIN|COMPAT|BASELINES)(?:\.\w+)+/g)]
    .map(([path]) => path);
  const unknown = meant.filter((path) => !fields.some((field) => `${field}.`.startsWith(`${path}.`)));
  expect(unknown).toEqual([]);
});

test.each(PAGES)('%s names files of the project that are there', (page) => {
  const named = [...readFileSync(page, 'utf8').matchAll(/(?<![\w/])(?:configs|docs)\/[\w./-]*\w/g)];
  expect(named.map(([path]) => path).filter((path) => !existsSync(path))).toEqual([]);
});

test.each(PAGES)('%s links to pages and headings that are there', (page) => {
  const links = [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/g)];
  for (const [link, path, anchor] of links) {
    const file = path === '' ? page : join(page, '..', path!);
    expect(existsSync(file), `${page}: ${link}`).toBe(true);
    if (anchor === undefined) continue;
    const headings = [...readFileSync(file, 'utf8').matchAll(/^#+ (.+)$/mg)]
      .map(([, heading]) => heading!.toLowerCase().replaceAll(/[^\w -]/g, '').replaceAll(' ', '-'));
    expect(headings, `${page}: ${link}`).toContain(anchor);
  }
});

test('docs/getting_started.md describes a folder of one\'s own that is read', () => {
  const [yaml] = fencesOf('docs/getting_started.md', 'yaml');
  const layout = readDataFile(join(folderWith({ 'street.yaml': yaml! }), 'street.yaml'));
  expect(Object.keys(layout.tasks)).toEqual(['semseg', 'depth']);
  expect(layout.splits).toEqual({ validation: 0.1 });
});

/** A folder in which the page's commands meet a tiny model under the names of the demo's files. */
function workshop(): { cwd: string; path: string } {
  const cwd = folderWith({ 'bin/x': '', 'configs/x': '' });
  const cfg = join(cwd, 'configs/demo.yaml');
  writeFileSync(cfg, readFileSync(tiny.yaml, 'utf8').replace('NAME: tiny', 'NAME: demo'));
  const state = randomState(modelSpec(loadConfig(cfg).config));
  const backbone = [...state].filter(([name]) => name.startsWith('backbone.'))
    .map(([name, tensor]) => [name.replace('backbone.', ''), tensor] as const);
  writeSafetensors(join(cwd, 'configs/demo_backbone.safetensors'), new Map(backbone), {});
  symlinkSync(join(ROOT, 'bin/mtlora-train.mjs'), join(cwd, 'bin/mtlora-train'));
  const path = [join(cwd, 'bin'), join(ROOT, 'node_modules/.bin'), process.env.PATH].join(delimiter);
  return { cwd, path };
}

test.skipIf(process.platform === 'win32')('docs/getting_started.md: "A first run" runs as it stands', () => {
  const { cwd, path } = workshop();
  const page = readFileSync('docs/getting_started.md', 'utf8');
  const section = /\n## A first run\n([\s\S]*?)\n## /.exec(page)![1]!;
  mkdirSync(join(cwd, 'page'));
  writeFileSync(join(cwd, 'page/section.md'), section);
  const script = fencesOf(join(cwd, 'page/section.md'), 'sh').join('');
  const env = { ...process.env, PATH: path };
  const said = execFileSync('bash', ['-euc', script], { cwd, env, encoding: 'utf8', stdio: 'pipe' });
  expect(said).toMatch(/^epoch 2\/2 /m);
  expect(said).toMatch(/^output {5}1 of 1 pictures in "shown"$/m);
  const results = '{output/demo/first/{*.html,best*},shown/*.raw.png,*.pth,merged.*}';
  const left = globSync(results, { cwd });
  expect(left.toSorted()).toEqual(['first.pth', 'merged.safetensors', 'merged.yaml',
    'output/demo/first/best.safetensors', 'output/demo/first/report.html', 'shown/val_000001.normals.raw.png',
    'shown/val_000001.sal.raw.png', 'shown/val_000001.semseg.raw.png']);
});
