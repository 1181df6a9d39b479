import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configPage } from '../scripts/config_page.ts';
import { loadConfig } from '../src/train/config.ts';
import { listFields } from '../src/train/config_walk.ts';
import { folderWith } from './support/folder.ts';

const PAGE = readFileSync('docs/configuration.md', 'utf8');

test('docs/configuration.md is what `npm run docs` writes', () => {
  expect(PAGE).toBe(configPage());
});

test('every field of the configuration says what it must be and what it means', () => {
  const used = listFields().filter(({ unused }) => !unused);
  expect(used.length).toBeGreaterThan(100);
  expect(used.filter(({ expected, says }) => expected === '' || !/^\S.{8,}[^.]$/.test(says))).toEqual([]);
});

test('docs/configuration.md shows a configuration that loads, and its messages are those of mistakes', () => {
  const yaml = /```yaml\n([\s\S]*?)```/.exec(PAGE)![1]!;
  const load = (text: string, ...opts: string[]) =>
    loadConfig(join(folderWith({ 'mine.yaml': text, 'common.yaml': '' }), 'mine.yaml'), opts);
  const own = yaml.replace('../common', 'common');
  expect(load(own).config).toMatchObject({ TASKS: ['semseg', 'normals'], TRAIN: { CLIP_GRAD: null } });
  const messages = PAGE.match(/^ {4}\S+ [A-Z_.]+: .*$/mg)!.map((line) => line.trim());
  expect(messages).toHaveLength(3);
  const wrong = own.replace('MTLORA:', 'MTLORRA:').replace('EPOCHS: 100', 'EPOCHS: ten');
  const told = (...args: Parameters<typeof load>): string[] => {
    try {
      load(...args);
    } catch (error) {
      return (error as Error).message.split('\n').map((line) => line.replace(/^\/.*\//, ''));
    }
    throw new Error('the configuration was accepted');
  };
  expect(told(wrong).toSorted()).toEqual(messages.slice(0, 2).toSorted());
  expect(told(own, 'DATA.IMG_SIZE', '450')[0]).toBe(messages[2]);
});
