import { spawnSync } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { folderWith } from '../support/folder.ts';

const ROOT = join(import.meta.dirname, '../..');

/** What a script writes to stderr, which is a file: a socket, as `pipe` gives, cannot be opened again. */
function stderrOf(script: string): string {
  const file = join(folderWith(), 'stderr');
  spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: ROOT, timeout: 60_000, stdio: ['ignore', 'ignore', openSync(file, 'a')],
  });
  return readFileSync(file, 'utf8');
}

test('openGpu() keeps Dawn\'s harmless warnings off the terminal, and nothing else', () => {
  const text = stderrOf(`
    process.stderr.write('before\\n');
    const { openGpu } = await import('./src/gpu/device.ts');
    const gpu = await openGpu();
    process.stderr.write('after\\n');
    gpu.close();`);
  expect(text).toBe('before\nafter\n');
});

test('capturingStderr() returns what was written meanwhile, and then stderr is as before', () => {
  const text = stderrOf(`
    import { writeSync } from 'node:fs';
    import { capturingStderr } from './src/gpu/stderr.ts';
    const { result, text } = capturingStderr(() => writeSync(2, 'inside'));
    writeSync(2, 'outside ' + result + ' ' + text + '\\n');
    const fail = () => { throw new Error('thrown'); };
    try { capturingStderr(fail); } catch (error) { writeSync(2, error.message); }`);
  expect(text).toBe('outside 6 inside\nthrown');
});
