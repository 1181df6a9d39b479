import { expect, test } from 'vitest';
import { withLimits } from '../../src/gpu/dry.ts';
import { loadConfig, type Config } from '../../src/train/config.ts';
import { runPlan } from '../../src/train/one_off.ts';
import { adviceTable, fits, planAlternatives, planRun } from '../../src/train/planning.ts';
import { openStore } from '../../src/train/prepare.ts';
import { compileTrainStep } from '../../src/train/step.ts';
import { useGpu } from '../support/gpu.ts';
import { listen, useTinyRun } from '../support/tiny_run.ts';

const gpu = useGpu();
const tiny = useTinyRun();
const GIB = 2 ** 30;
const R64 = 'configs/mtlora/tiny_448/mtlora_tiny_448_r64_scale4_pertask.yaml';

/** The released command line, on a device that binds 2 GiB. */
const released = (batchSize: number, tasks = 'semseg,normals,sal,human_parts', ...opts: string[]): Config =>
  loadConfig(R64, opts, { batchSize, tasks }).config;
const nvidia = () => withLimits({ ...gpu(), deviceClass: 'gpu', features: new Set(['shader-f16']) }, {
  maxStorageBufferBindingSize: 2 * GIB, maxBufferSize: 2 * GIB,
});

test('planRun() plans the release\'s run where a kernel is given 2 GiB, and allocates nothing', async () => {
  const before = gpu().memory.bytes;
  const footprint = await planRun(nvidia(), released(32));
  if ('refused' in footprint) throw new Error(footprint.refused);
  expect(footprint.programs.map(({ label }) => label)).toEqual(['training step', 'validation']);
  expect(footprint.bytes / GIB).toBeGreaterThan(10);
  expect(footprint.bytes / GIB).toBeLessThan(20);
  expect(footprint.programs.at(-1)!.bytes / GIB).toBeLessThan(0.5);        // an evaluation borrows the rest
  expect(gpu().memory.bytes).toBe(before);
  const split = footprint.programs[0]!.plan.atPeak.map(({ storage }) => storage.bytes);
  expect(Math.max(...split)).toBeLessThanOrEqual(2 * GIB);
});

test('planRun() plans five tasks, and batches of 64, where a kernel is given 2 GiB', async () => {
  const edge = ['MODEL.MTLORA.R_PER_TASK.edge', '[64,64,64,64]'];
  for (const config of [released(32, 'semseg,normals,sal,human_parts,edge', ...edge), released(64)]) {
    const footprint = await planRun(nvidia(), config);
    expect('refused' in footprint ? footprint.refused : '').toBe('');
  }
});

test('planRun() counts what a run then allocates', async () => {
  const config = tiny.config('unused', 'TRAIN.ACCUMULATION_STEPS', '2', 'TRAIN.EMA_DECAY', '0.9');
  const footprint = await planRun(gpu(), config);
  if ('refused' in footprint) throw new Error(footprint.refused);
  const before = gpu().memory.bytes;
  const store = openStore(gpu(), config, {});
  const step = await compileTrainStep(gpu(), store, config, config.DATA.BATCH_SIZE);
  const allocated = gpu().memory.bytes - before;
  const planned = footprint.lasting + footprint.programs.slice(0, 2)
    .reduce((sum, { plan }) => sum + plan.peakBytes, 0);
  // the evaluation's batch is planned too, and uniforms of kernels are not
  expect(Math.abs(allocated - planned) / allocated).toBeLessThan(0.1);
  step.destroy();
  store.destroy();
});

test('planAlternatives() halves batches, or computes again, until the run fits', async () => {
  const config = released(32);
  const asIs = await planRun(nvidia(), config);
  const bytes = 'refused' in asIs ? NaN : asIs.bytes;
  const found = await planAlternatives(nvidia(), config, 0.67 * bytes);
  const half = '--batch-size 16 --accumulation-steps 2';
  expect(found.map(({ flags, fits: good }) => [flags, good])).toEqual([
    ['(as it is)', false], [half, true],
    ['--precision f16', false], [`--precision f16 ${half}`, true],
    ['--use-checkpoint', true], ['--precision f16 --use-checkpoint', true],
  ]);
  const work = found.map(({ footprint }) => 'refused' in footprint ? NaN : footprint.flops);
  expect(work[1]! / work[0]!).toBeCloseTo(1, 2);               // an update's work is the same
  expect(work[4]! / work[0]!).toBeGreaterThan(1.1);
  expect(adviceTable(found)).toMatch(/--batch-size 16 --accumulation-steps 2 +\d+\.\d\d GiB +\d\.\d\d +yes/);
});

test('planRun() tells which tensor a device refuses', async () => {
  const small = withLimits(gpu(), { maxStorageBufferBindingSize: 4096, maxBufferSize: 4096 });
  const footprint = await planRun(small, tiny.config('unused'));
  const refused = expect.stringMatching(/needs .* bytes.*this device allows 4096/) as string;
  expect(footprint).toMatchObject({ refused });
  const five = { lasting: 1, programs: [], bytes: 5, flops: 0 };
  expect([fits(footprint, null), fits(five, 4), fits(five, 5), fits(five, null)])
    .toEqual([false, false, true, true]);
});

test('runPlan() ends with exit code 1 and what would fit', async () => {
  const terminal = listen();
  const config = tiny.config('/nowhere', 'DATA.BATCH_SIZE', '8');
  const planned = runPlan(config, { folder: '/nowhere', memoryLimit: 0.0015 }, terminal);
  const message = 'plan: the run does not fit the device';
  await expect(planned).rejects.toMatchObject({ exitCode: 1, message });
  expect(terminal.lines.find((line) => line.startsWith('advice'))).toBe(
    'advice     8 images a batch do not fit; planned alternatives:');
  expect(terminal.lines.at(-1)!.split('\n')[0]).toMatch(/^flags +memory +TFLOP an update +fits$/);
});
