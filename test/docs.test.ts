import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { PAGES } from './support/pages.ts';

const FILES = globSync('{src,kernels,test,scripts,bin,docs,bench}/**/*.{ts,mts,mjs,wgsl,md}');
const NAMES = new Set(FILES.map((file) => basename(file)));
const EXAMPLE = /\bsilu\b/;                       // what docs/extending.md adds

/** Files that a page names in backticks: from the root, from src/, or by their name alone. */
function namedFiles(page: string): string[] {
  const named = readFileSync(page, 'utf8').matchAll(/`([\w./-]+\.(?:ts|mjs|wgsl|md))`/g);
  return [...named].map(([, file]) => file!).filter((file) => !EXAMPLE.test(file));
}

for (const page of PAGES) {
  test(`${page} names files that are there`, () => {
    const missing = namedFiles(page).filter((file) =>
      !FILES.includes(file) && !FILES.includes(`src/${file}`)
      && !(file === basename(file) && NAMES.has(file)));
    expect(missing).toEqual([]);
  });
}

test('docs/extending.md names what the code exports', () => {
  const sources = FILES.filter((file) => file.startsWith('src/'));
  const source = sources.map((file) => readFileSync(file, 'utf8')).join();
  const names = ['expectShape', 'gradcheck', 'columnSums', 'recomputable', 'recall', 'itemsFor',
    'kernelForm', 'withKernelForm', 'isPlain', 'guarded', 'tuned', 'upTo',
    'ignoreRegions', 'channelsOf', 'labelShape', 'SINGLE_HEADS',
    'decoderGroups', 'TASKS', 'HEADS', 'PASCAL_TASKS', 'NYUD_TASKS', 'param', 'fitsBytes', 'taskOutputs',
    'DATASET_TASKS', 'featureShape', 'siteLayer', 'firstStream', 'foldStreams', 'stageChannels',
    'stageSide', 'siteShape', 'adapterAt', 'SITES', 'FLAG_FIELDS', 'COMMANDS', 'addExamples'];
  const page = readFileSync('docs/extending.md', 'utf8');
  expect(names.filter((name) => !page.includes(name))).toEqual([]);
  expect(names.filter((name) => !new RegExp(`(function|const) ${name}\\b`).test(source))).toEqual([]);
});
