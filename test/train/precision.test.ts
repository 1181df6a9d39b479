// Training in mixed precision: how far it is from f32, what overflow does, and that a run goes on.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { decoded } from '../../src/autograd/tensor.ts';
import { readSafetensors } from '../../src/data/safetensors.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { download } from '../../src/gpu/transfer.ts';
import { ParameterStore } from '../../src/mtlora/store.ts';
import { readCheckpoint } from '../../src/train/checkpoint.ts';
import { modelSpec } from '../../src/train/config.ts';
import type { Config } from '../../src/train/config_schema.ts';
import { runTraining, type RunOptions } from '../../src/train/run.ts';
import { runPath } from '../../src/train/run_folder.ts';
import type { HostBatch } from '../../src/train/inputs.ts';
import { compileTrainStep, type StepReport } from '../../src/train/step.ts';
import { useGpu } from '../support/gpu.ts';
import { fingerprint, randomState, tinyConfig } from '../support/tiny_model.ts';
import { digests, listen, readLog, useTinyRun } from '../support/tiny_run.ts';

const gpu = useGpu();
const tiny = useTinyRun();

// plain kernels, which compile in no time
const plain = (): Gpu => ({ ...gpu(), features: new Set(['shader-f16']) });

type Precision = Config['PRECISION'] & ('f32' | 'f16');

async function open(precision: Precision, device = plain()) {
  const config = { ...tinyConfig({}, ['semseg', 'normals', 'sal']), PRECISION: precision };
  const store = new ParameterStore(device, modelSpec(config), { frozen: precision });
  store.load(randomState(store.spec));
  const step = await compileTrainStep(device, store, config, 2);
  return {
    store, step,
    close() {
      step.destroy();
      store.destroy();
    },
  };
}

/** Pictures of two halves, above and below. */
function batch(seed: number): HostBatch {
  const [pixels, row] = [2 * 32 * 32, 32];
  const above = (i: number): boolean => Math.floor(i / row) % row < 16;
  const values = (count: number, value: (i: number) => number) =>
    Float32Array.from({ length: count }, (_, i) => value(i));
  return {
    image: values(3 * pixels, (i) => Math.sin(1.37 * (i + 7 * seed)) + (above(i) ? 1 : -1)),
    labels: {
      semseg: values(pixels, (i) => above(i) ? 3 : 8), sal: values(pixels, (i) => Number(above(i))),
      normals: values(3 * pixels, (i) => above(i) ? 0.6 : 0.8),
    },
  };
}

async function train(precision: Precision, steps: number): Promise<StepReport[]> {
  const { step, close } = await open(precision);
  if (precision === 'f16') step.restoreLossScale({ scale: 1024, goodSteps: 0 });
  const reports: StepReport[] = [];
  for (let i = 0; i < steps; i++) {
    step.run([batch(i % 2)], { step: i, seed: 3, lr: 5e-3 });
    reports.push(await step.report());
  }
  close();
  return reports;
}

test('compileTrainStep() in f16 learns what it does in f32', async () => {
  const [exact, half] = [await train('f32', 25), await train('f16', 25)];
  const apart = (at: number, of: (report: StepReport) => number): number => {
    const [got, want] = [half, exact].map((reports) => of(reports.at(at)!)) as [number, number];
    return Math.abs(got - want) / want;
  };
  expect(apart(0, ({ total }) => total)).toBeLessThan(1e-4);
  expect(apart(0, ({ gradNorm }) => gradNorm)).toBeLessThan(5e-3);
  expect(apart(1, ({ total }) => total)).toBeLessThan(5e-3);
  for (const [task, loss] of exact[0]!.tasks) expect(exact.at(-1)!.tasks.get(task)).toBeLessThan(loss);
  expect(exact.at(-1)!.total).toBeLessThan(0.1 * exact[0]!.total);
  expect(apart(-1, ({ total }) => total)).toBeLessThan(2e-2);
  expect(exact.at(-1)).toMatchObject({ skipped: 0, lossScale: null });
  expect(half.at(-1)).toMatchObject({ skipped: 0, lossScale: { scale: 1024, goodSteps: 25 } });
});

test('compileTrainStep() in f16 leaves a step that overflows out, and halves the scale', async () => {
  const { store, step, close } = await open('f16');
  step.restoreLossScale({ scale: 1024, goodSteps: 0 });
  step.run([batch(0)], { step: 0, seed: 3, lr: 1e-3 });
  const state = async (): Promise<string[]> => {
    const moments = await Promise.all(store.arena.moments.map((buffer) => store.readArena(buffer)));
    const model = [...await store.read()].filter(([name]) => !name.includes('running_'));
    return [new Map(model), ...moments].flatMap(fingerprint);
  };
  const before = await state();
  step.restoreLossScale({ scale: 2 ** 40, goodSteps: 5 });
  step.run([batch(1)], { step: 1, seed: 3, lr: 1e-3 });
  const { total, gradNorm, skipped, lossScale } = await step.report();
  expect(Number.isFinite(total)).toBe(true);
  expect([Number.isFinite(gradNorm), skipped]).toEqual([false, 1]);
  expect(lossScale).toEqual({ scale: 2 ** 39, goodSteps: 0 });
  expect(await state()).toEqual(before);
  step.restoreLossScale({ scale: 1024, goodSteps: 0 });
  step.run([batch(1)], { step: 2, seed: 3, lr: 1e-3 });
  expect((await step.report()).lossScale).toEqual({ scale: 1024, goodSteps: 1 });
  expect(await state()).not.toEqual(before);
  close();
});

test('ParameterStore() holds frozen matrices in f16, and gives back what it was given', async () => {
  const [half, full] = [await open('f16'), await open('f32')];
  expect(fingerprint(await half.store.read())).toEqual(fingerprint(await full.store.read()));
  const frozen = half.store.packs.filter(({ trainable, kind, shape }) =>
    !trainable && kind === 'param' && shape.length > 1);
  expect(frozen.length).toBeGreaterThan(20);
  for (const { name } of frozen) {
    const [rounded, exact] = [half, full].map(({ store }) => store.tensor(name));
    expect([rounded!.dtype, rounded!.bytes]).toEqual(['f16', exact!.bytes / 2]);
    const [a, b] = await Promise.all([rounded!, exact!].map(async (tensor) =>
      decoded((await download(gpu(), [{ ...tensor.storage.place!, bytes: tensor.bytes }]))[0]!, tensor)));
    expect(a).toEqual(b!.map(Math.f16round));
  }
  half.close();
  full.close();
});

test('compileTrainStep() in f16 takes two thirds of the memory of f32 at most', async () => {
  const [half, full] = [await open('f16'), await open('f32')];
  const bytes = ({ step }: typeof half): number => step.programs[0]!.plan.peakBytes;
  expect(bytes(half) / bytes(full)).toBeLessThan(0.66);
  half.close();
  full.close();
});

test('compileTrainStep() names an adapter that cannot store f16', async () => {
  await expect(open('f16', { ...gpu(), features: new Set() })).rejects.toThrow(
    `--precision: must be f32 on "${gpu().adapter.name}", got f16: the adapter has no shader-f16`);
});

const run = (config: Config, terminal = listen(), more: Partial<RunOptions> = {}) => runTraining(config, {
  folder: runPath(config), resumeCommand: (file) => `mtlora-train --resume ${file}`, ...more,
}, terminal);

test('runTraining() in f16 continues bit for bit, with the loss scale that it had', async () => {
  const opts = ['PRECISION', 'f16'];
  const last = 'ckpt_epoch_2.safetensors';
  const whole = tiny.config(tiny.folder('whole'), ...opts);
  await run(whole);
  const config = tiny.config(tiny.folder('interrupted'), ...opts);
  const stopping = listen((line, stop) => { if (line.startsWith('epoch 2/3  step 2/')) stop(); });
  await expect(run(config, stopping)).rejects.toMatchObject({ exitCode: 130 });
  const other = tiny.config(join(runPath(config), '../..'));
  await expect(run(other, listen(), { autoResume: true }))
    .rejects.toThrow('PRECISION must be f16 as in that run, got f32');
  await run(config, listen(), { autoResume: true });

  const [got, want] = [config, whole].map((each) => join(runPath(each), last)) as [string, string];
  expect(digests(got)).toEqual(digests(want));
  expect(readSafetensors(got).metadata.loss_scale).toBe(readSafetensors(want).metadata.loss_scale);
  const { run: saved } = await readCheckpoint(got);
  const lines = readLog(runPath(whole)).filter(({ kind }) => kind === 'train');
  expect(lines.at(-1)).toMatchObject({ loss_scale: saved!.lossScale!.scale, left_out: expect.any(Number) });
  expect(stopping.lines.some((line) => /  scale \d+/.test(line))).toBe(true);
});
