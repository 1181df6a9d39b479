import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ParameterStore } from '../../src/mtlora/store.ts';
import { modelSpec } from '../../src/train/config.ts';
import { Evaluator, type Evaluation } from '../../src/train/evaluate.ts';
import { openSplit } from '../../src/train/prepare.ts';
import { runEvaluation, runPlan, runProfile } from '../../src/train/one_off.ts';
import { resultsTable, metricsOf } from '../../src/train/results.ts';
import { runTraining } from '../../src/train/run.ts';
import { runPath } from '../../src/train/run_folder.ts';
import { useGpu } from '../support/gpu.ts';
import { randomState } from '../support/tiny_model.ts';
import { listen, useTinyRun } from '../support/tiny_run.ts';

const gpu = useGpu();
const tiny = useTinyRun();

async function evaluation(batchSize: number): Promise<Evaluation> {
  const config = tiny.config('unused', 'DATA.BATCH_SIZE', String(batchSize));
  const store = new ParameterStore(gpu(), modelSpec(config));
  store.load(randomState(store.spec));
  const evaluator = new Evaluator(gpu(), store);
  const loader = openSplit(config, 'val');
  const seen: string[] = [];
  const onBatch = (done: number, total: number) => seen.push(`${done}/${total}`);
  const found = await evaluator.run(loader, { rows: 2, onBatch });
  expect(seen.at(-1)).toBe(`${Math.ceil(3 / batchSize)}/${Math.ceil(3 / batchSize)}`);
  await loader.close();
  evaluator.destroy();
  store.destroy();
  return found;
}

test('Evaluator.run() scores every image once, whatever the batch, a smaller last one too', async () => {
  const [one, two, three] = [await evaluation(1), await evaluation(2), await evaluation(3)];
  for (const { images, scores, rows } of [one, two, three]) {
    expect(images).toBe(3);
    expect(rows.length).toBe(2);
    expect(scores.semseg!.mIoU).toBeCloseTo(three.scores.semseg!.mIoU!, 6);
    expect(scores.sal!.mIoU).toBeCloseTo(three.scores.sal!.mIoU!, 6);
    expect(scores.normals!.mean).toBeCloseTo(three.scores.normals!.mean!, 3);
  }
  expect(one.scores.normals!.mean).toBeGreaterThan(1);
  const [row] = two.rows;
  expect(row!.predictions.get('semseg')).toEqual(one.rows[0]!.predictions.get('semseg'));
  expect(row!.predictions.get('normals')!.length).toBe(3 * 32 * 32);
  const first = [0, 1, 2].map((axis) => row!.predictions.get('normals')![axis * 1024]!);
  expect(Math.hypot(...first)).toBeCloseTo(1, 5);
});

test('Evaluator.run() weighs a smaller last batch\'s losses by its images', async () => {
  const [one, two] = [await evaluation(1), await evaluation(2)];
  const sal = (found: Evaluation) => found.loss.tasks.sal!;
  expect(two.loss.total).toBeCloseTo(
    two.loss.tasks.semseg! + 5 * sal(two) + 10 * two.loss.tasks.normals!, 4);
  expect(Math.abs(sal(two) / sal(one) - 1)).toBeLessThan(0.2);       // balanced by batch: near, not equal
});

test('runEvaluation() says and writes what the run said of its last checkpoint', async () => {
  const config = tiny.config(tiny.folder('evaluated'), 'TRAIN.EPOCHS', '1');
  const folder = runPath(config);
  const { metrics } = await runTraining(config, { folder, resumeCommand: () => '' }, listen());
  const terminal = listen();
  await runEvaluation(config, { folder }, terminal);
  const { checkpoint, ...told } = JSON.parse(readFileSync(join(folder, 'evaluation.json'), 'utf8'));
  expect(checkpoint).toBe(join(folder, 'ckpt_epoch_0.safetensors'));
  expect(told).toEqual(JSON.parse(JSON.stringify(metrics)));
  expect(terminal.lines).toContain(resultsTable({ 'all images': metrics }));
});

test('runPlan() tells parameters and memory without data or a folder', async () => {
  const config = tiny.config('/nowhere', 'DATA.PASCAL', '/nowhere');
  const terminal = listen();
  await runPlan(config, { folder: runPath(config) }, terminal);
  expect(terminal.lines.filter((line) => line.startsWith('plan')).length).toBeGreaterThan(1);
  expect(terminal.lines.join('\n')).toMatch(/parameters \d[\d,]* trainable of \d[\d,]* \(\d+\.\d\d %\)/);
  expect(terminal.lines.at(-1)).toMatch(
    /^memory +\d+\.\d MiB on the device in all: .* MiB training step, .* MiB validation$/);
  expect(existsSync('/nowhere')).toBe(false);
});

test('runProfile() times every launch of a step, for terminal, report and trace viewer', async () => {
  const config = tiny.config(tiny.folder('profiled'), 'TRAIN.ACCUMULATION_STEPS', '2');
  const folder = runPath(config);
  const terminal = listen();
  await runProfile(config, { folder }, terminal);
  expect(terminal.lines.join('\n'))
    .toMatch(/profile +micro-batch: \d+ launches, .*\nkernel +calls +ms +share/);
  const { rows, totalMs } = JSON.parse(readFileSync(join(folder, 'profile.json'), 'utf8'));
  const sum = rows.reduce((ms: number, row: { ms: number }) => ms + row.ms, 0);
  expect(sum / totalMs).toBeCloseTo(1, 6);
  const { traceEvents } = JSON.parse(readFileSync(join(folder, 'trace-update.json'), 'utf8'));
  expect(traceEvents.some(({ name }: { name: string }) => name.startsWith('adamw'))).toBe(true);
});

test('resultsTable() sets evaluations side by side, and Δm where there are baselines', async () => {
  const scores = { semseg: { mIoU: 0.7057 }, normals: { mean: 17.97, rmse: 20 } };
  const part = { images: 1, loss: { total: 2, tasks: {} }, scores, rows: [] };
  const metrics = metricsOf(part, { semseg: 0.6721, normals: 17.97 });
  expect(metrics.delta_m).toBeCloseTo(2.4996, 3);
  const table = resultsTable({ before: { ...metrics, delta_m: null }, after: metrics });
  expect(table).toMatch(/semantic segmentation │ mIoU +│ +70\.57 % │ +70\.57 % │ higher/);
  expect(table).toMatch(/surface normals +│ mean +│ +17\.97° │ +17\.97° │ lower/);
  expect(table).toMatch(/Δm .*│ +│ +\+2\.50 % │ higher/);
});
