import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSafetensors } from '../../src/data/safetensors.ts';
import type { Config } from '../../src/train/config.ts';
import { readCheckpoint } from '../../src/train/checkpoint.ts';
import { runEvaluation } from '../../src/train/one_off.ts';
import { runTraining, type RunOptions } from '../../src/train/run.ts';
import { runPath } from '../../src/train/run_folder.ts';
import { digests, listen, readLog, useTinyRun } from '../support/tiny_run.ts';

const tiny = useTinyRun();
const LAST = 'ckpt_epoch_2.safetensors';

const config = (...opts: string[]): Config =>
  tiny.config(tiny.folder('averages'), 'TRAIN.EMA_DECAY', '0.9', ...opts);

const run = (of: Config, terminal = listen(), more: Partial<RunOptions> = {}) => runTraining(of, {
  folder: runPath(of), resumeCommand: (file) => file, ...more,
}, terminal);

test('runTraining() with moving averages continues bit for bit, and evaluates the averages', async () => {
  const whole = config();
  const { metrics } = await run(whole);
  const folder = runPath(whole);
  const interrupted = config();
  const stop = listen((line, end) => { if (line.startsWith('epoch 2/3  step 2/')) end(); });
  await expect(run(interrupted, stop)).rejects.toMatchObject({ exitCode: 130 });
  await run(interrupted, listen(), { autoResume: true });
  const want = digests(join(folder, LAST));
  expect(want.some((line) => line.startsWith('optimizer.ema.decoders'))).toBe(true);
  expect(digests(join(runPath(interrupted), LAST))).toEqual(want);

  const { model, run: saved } = await readCheckpoint(join(folder, LAST));
  const averages = saved!.averages!;
  const name = [...averages.keys()].find((key) => key.startsWith('decoders') && key.endsWith('.weight'))!;
  const best = readSafetensors(join(folder, 'best.safetensors')).tensors;
  expect(best.get(name)!.data).toEqual(averages.get(name)!.data);
  expect(best.get(name)!.data).not.toEqual(model.get(name)!.data);

  const evaluated = listen();
  await runEvaluation(whole, { folder }, evaluated);
  expect(evaluated.lines.join('\n')).toContain(metrics.loss.total.toFixed(4));
  const raw = tiny.config(tiny.folder('raw'), 'MODEL.RESUME', join(folder, LAST));
  const other = listen();
  await runEvaluation(raw, { folder: runPath(raw) }, other);
  expect(other.lines.join('\n')).not.toContain(metrics.loss.total.toFixed(4));
});

test('runTraining() trains to the same weights with averages and without, evaluated in between', async () => {
  const short = ['TRAIN.EPOCHS', '2', 'EVAL_FREQ', '1'];
  const [plain, averaged] = [tiny.config(tiny.folder('plain'), ...short), config(...short)];
  await run(plain);
  await run(averaged);
  const weights = (of: Config): string[] => digests(join(runPath(of), 'ckpt_epoch_1.safetensors'))
    .filter((line) => !line.startsWith('optimizer.ema.'));
  expect(weights(averaged)).toEqual(weights(plain));
  expect(readLog(runPath(averaged)).filter(({ kind }) => kind === 'evaluation')).toHaveLength(2);
});
