import { join } from 'node:path';
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { Exit, type Terminal } from '../../../src/train/commands/command.ts';
import { register } from '../../../src/train/commands/verify.ts';
import { changeTensor, copyCase, nudged } from '../../support/golden_copy.ts';

/** What the command says, and its exit code. */
async function run(...args: string[]): Promise<{ lines: string[]; exitCode: number }> {
  const lines: string[] = [];
  const terminal: Terminal = {
    say: (line) => { lines.push(...line.split('\n')); }, status: () => {}, interactive: false, args,
    interruption: () => new AbortController().signal,
  };
  const program = new Command().exitOverride();
  register(program, terminal);
  try {
    await program.parseAsync(['verify', ...args], { from: 'user' });
    return { lines, exitCode: 0 };
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    return { lines, exitCode: error.exitCode };
  }
}

test('verify says of each case what comes nearest to its bound', async () => {
  const folder = copyCase('mtlora-linear', 'matrix_t0');
  const { lines, exitCode } = await run(folder);
  expect(exitCode).toBe(0);
  expect(lines[0]).toBe(`${folder} (mtlora-linear): 9 checks, all pass`);
  expect(lines[2]).toMatch(/^matrix_t0 +9 +\S+ +\d\.\de-\d +\d\.\de-\d +2\.0e-6 +pass$/);
  expect(lines.at(-1)).toMatch(/^verified: 9 checks in 1 folder on .*, all pass$/);
  expect((await run(folder, '--all')).lines.filter((line) => /pass/.test(line))).toHaveLength(11);
});

test('verify ends with exit code 1 and the tensor that differs', async () => {
  const folder = copyCase('mtlora-linear', 'matrix_t0');
  changeTensor(join(folder, 'matrix_t0.safetensors'), 'grad.lora_shared_A', nudged);
  const { lines, exitCode } = await run(folder);
  expect(exitCode).toBe(1);
  expect(lines[2]).toMatch(/^matrix_t0 +9 +grad\.lora_shared_A .* FAIL$/);
  expect(lines.at(-1)).toMatch(/^1 of 9 checks in 1 folder on .* fail$/);
  const json = JSON.parse((await run(folder, '--json')).lines.join('\n')) as {
    pass: boolean; folders: { checks: { case: string; tensor: string; pass: boolean; bound: number }[] }[];
  };
  expect(json.pass).toBe(false);
  expect(json.folders[0]!.checks).toHaveLength(9);
  expect(json.folders[0]!.checks.filter(({ pass }) => !pass))
    .toMatchObject([{ case: 'matrix_t0', tensor: 'grad.lora_shared_A', bound: 2e-6 }]);
});
