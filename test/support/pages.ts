import { globSync, readFileSync } from 'node:fs';

export const PAGES = ['README.md', ...globSync('docs/*.md')];

/** What stands in the page's fences of a language. Fences of a list are indented. */
export function fencesOf(page: string, language: string): string[] {
  const text = readFileSync(page, 'utf8');
  return [...text.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)^\\1\`\`\``, 'mg'))]
    .map(([, indent, body]) => body!.replaceAll(new RegExp(`^${indent}`, 'mg'), ''));
}

/** A shell's commands without comments and redirections; one that ends in a backslash goes on below. */
export function commandsOf(text: string): string[] {
  return text.replaceAll(/\\\n\s*/g, '').split('\n')
    .map((line) => line.replace(/(^|\s)[#>].*$/, '').trim()).filter((line) => line !== '');
}

/** The words of a command as a shell sees them: double quotes hold one together. */
export function wordsOf(command: string): string[] {
  return (command.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"(.*)"$/, '$1'));
}
