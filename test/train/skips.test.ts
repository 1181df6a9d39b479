import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig, type Config } from '../../src/train/config.ts';
import { runEvaluation } from '../../src/train/one_off.ts';
import { runTraining, type RunOptions } from '../../src/train/run.ts';
import { runPath } from '../../src/train/run_folder.ts';
import { skipLines, skippedIn, type SkipEntry } from '../../src/train/skips.ts';
import { digests, listen, readLog, useTinyRun } from '../support/tiny_run.ts';

const tiny = useTinyRun();
const LAST = 'ckpt_epoch_2.safetensors';

const run = (config: Config, terminal = listen(), more: Partial<RunOptions> = {}) => runTraining(config, {
  folder: runPath(config), resumeCommand: (file) => `mtlora-train --resume ${file}`, ...more,
}, terminal);

/** A data set of 8 and 3 pictures with a damaged training image and a missing validation label. */
function damagedData(): { data: string; problems: { train: string; val: string } } {
  const data = tiny.copyOfData();
  const jpeg = join(data, 'JPEGImages', 'train_000003.jpg');
  writeFileSync(jpeg, readFileSync(jpeg).subarray(0, 700));
  const label = join(data, 'sal_distill', 'val_000003.png');
  rmSync(label);
  const missing = `Cannot read "${label}": no such file`;
  return { data, problems: { train: `Cannot read "${jpeg}": `, val: missing } };
}

const configOf = (pascal: string, output: string, onBadSample: string): Config =>
  loadConfig(tiny.yaml, [], { pascal, output, onBadSample }).config;

test('runTraining() names a missing file before it starts, and a damaged one where it stops', async () => {
  const { data, problems } = damagedData();
  const stopped = () => run(configOf(data, tiny.folder('stopped'), 'error'));
  await expect(stopped()).rejects.toThrow(problems.val);
  cpSync(join(tiny.data, 'sal_distill'), join(data, 'sal_distill'), { recursive: true });
  await expect(stopped()).rejects.toThrow(problems.train);
});

test('runTraining() leaves bad samples out, continues bit for bit, and tells of each', async () => {
  const { data, problems } = damagedData();
  const whole = configOf(data, tiny.folder('whole'), 'skip');
  const terminal = listen();
  await run(whole, terminal);
  const said = terminal.lines.filter((line) => line.startsWith('warning: '));
  expect(said).toHaveLength(2);                       // each once, though it comes up in every epoch
  expect(said.every((line) => line.endsWith('; the sample is left out'))).toBe(true);
  const entries = readLog(runPath(whole)).filter(({ kind }) => kind === 'skipped') as unknown as SkipEntry[];
  const [train, val] = [[...skippedIn(entries, 'train')], [...skippedIn(entries, 'val')]];
  expect(train.map(([problem, times]) => [problem.startsWith(problems.train), times])).toEqual([[true, 3]]);
  expect(val).toEqual([[problems.val, 2]]);         // in two evaluations
  expect(terminal.lines).toContain('skipped    a training sample 3 times, for 1 reason');
  expect(readLog(runPath(whole)).findLast(({ kind }) => kind === 'evaluation')).toMatchObject({ images: 2 });
  const html = readFileSync(join(runPath(whole), 'report.html'), 'utf8');
  expect(html).toContain('<h2>Samples left out</h2>');
  expect(html).toContain('val_000003.png&quot;: no such file</td><td>0</td><td>2</td>');

  const config = configOf(data, tiny.folder('interrupted'), 'skip');
  const stop = listen((line, end) => { if (line.startsWith('epoch 2/3  step 2/')) end(); });
  await expect(run(config, stop)).rejects.toMatchObject({ exitCode: 130 });
  await run(config, listen(), { autoResume: true });
  expect(digests(join(runPath(config), LAST))).toEqual(digests(join(runPath(whole), LAST)));
  const again = readLog(runPath(config)).filter(({ kind }) => kind === 'skipped') as unknown as SkipEntry[];
  expect([...skippedIn(again, 'train')]).toEqual(train);

  const evaluated = listen();
  await runEvaluation(whole, { folder: runPath(whole) }, evaluated);
  expect(evaluated.lines).toContain(`warning: ${problems.val}; the sample is left out`);
  const written = JSON.parse(readFileSync(join(runPath(whole), 'evaluation.json'), 'utf8')) as object;
  expect(written).toMatchObject({ images: 2, skipped: { [problems.val]: 1 } });
});

test('skipLines() counts by split, and lists ten reasons at most', () => {
  const entry = (split: 'train' | 'val', problems: Record<string, number>): SkipEntry =>
    ({ kind: 'skipped', step: 1, split, problems });
  const few = [entry('train', { a: 2, b: 1 }), entry('train', { a: 1 }), entry('val', { c: 1 })];
  expect(skipLines(few)).toEqual([
    'skipped    a training sample 4 times, for 2 reasons',
    'skipped    a validation sample once, for 1 reason',
    '           a', '           b', '           c',
  ]);
  const many = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`p${i}`, 1]));
  expect(skipLines([entry('train', many)]).at(-1)).toBe('           and 2 more, which report.html lists');
  expect(skipLines([])).toEqual([]);
});
