// docs/troubleshooting.md quotes messages; each must be one that the code can say.
import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const PAGE = readFileSync('docs/troubleshooting.md', 'utf8');
const MESSAGES = PAGE.match(/^ {4,}\S.*$/mg)!.map((line) => line.trim());

/** The texts of the code as they are said: pieces joined, each value an ellipsis. */
const SAID = globSync('{src,scripts,bin}/**/*.{ts,mjs}').map((file) => readFileSync(file, 'utf8')
  .replaceAll(/\\(['`\\])/g, '$1')
  .replaceAll(/\$\{(?:[^{}]|\{[^{}]*\})*\}/g, '…')
  .replaceAll(/['`]\s*\+\s*['`]/g, '')).join('\n');

/** What stands between the ellipses of a quoted message, without what only separates. */
function fragments(message: string): string[] {
  return message.split('…').map((part) => part.replace(/^[\s":;.,)]+|[\s":;(]+$/g, ''))
    .filter((part) => /[a-z]{2}/i.test(part));
}

test('docs/troubleshooting.md quotes messages of every kind', () => {
  expect(MESSAGES.length).toBeGreaterThan(50);
  const vague = MESSAGES.filter((message) => Math.max(...fragments(message).map((part) => part.length)) < 8);
  expect(vague).toEqual(['…: must be …, got …']);
});

test.each(MESSAGES)('the code says "%s"', (message) => {
  for (const part of fragments(message)) expect(SAID, part).toContain(part);
});

test('docs/troubleshooting.md follows each message with what to do', () => {
  const blocks = PAGE.split(/\n\n/);
  blocks.forEach((block, i) => {
    if (!/^ {4,}\S/.test(block) || block.includes('--plot')) return;
    expect(blocks[i + 1], block).toMatch(/^[A-Z`[][\s\S]{20,}/);
  });
});
