import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lasting, release } from '../../src/autograd/tensor.ts';
import { compile } from '../../src/gpu/executable.ts';
import { formatProfile, profile, writeChromeTrace, type KernelTime } from '../../src/gpu/profile.ts';
import { keep, scope } from '../../src/gpu/program.ts';
import { linear } from '../../src/ops/matmul.ts';
import { folderWith } from '../support/folder.ts';
import { useGpu } from '../support/gpu.ts';
import { launchAdd } from '../support/launches.ts';

const gpu = useGpu();

test('profile() times every launch, and adds them up by kernel', async () => {
  const x = lasting(gpu(), 'x', [256, 256]);
  const { executable } = await compile(gpu(), 'step', () => {
    const sum = scope('sums', () => launchAdd(launchAdd(x, x), x));
    keep(scope('head', () => linear(sum, x, null)));
  });
  const { dispatches, rows, totalMs } = await profile(gpu(), executable, {}, 2);
  expect(dispatches.map(({ label }) => label)).toEqual([
    'sums elementwise/add', 'sums elementwise/add', expect.stringMatching(/^head matmul/),
  ]);
  dispatches.slice(1).forEach((launch, i) => {
    const before = dispatches[i]!;
    expect(launch.startMs).toBeGreaterThanOrEqual(before.startMs + before.ms);
  });
  expect(rows.map(({ calls }) => calls).sort()).toEqual([1, 2]);
  expect(rows[0]!.ms).toBeGreaterThanOrEqual(rows[1]!.ms);
  expect(rows[0]!.share + rows[1]!.share).toBeCloseTo(1, 9);
  expect(rows[0]!.ms + rows[1]!.ms).toBeCloseTo(totalMs, 9);
  const product = rows.find(({ calls }) => calls === 1)!;
  expect(product.gflopsPerSecond).toBeCloseTo(2 * 256 ** 3 / product.ms / 1e6, 6);
  const add = rows.find(({ calls }) => calls === 2)!;
  expect(add.gigabytesPerSecond).toBeCloseTo(2 * 3 * 4 * 256 ** 2 / add.ms / 1e6, 6);
  executable.destroy();
  release(gpu(), x);
});

test('profile() frees what it made, also beyond what one set of timestamps holds', async () => {
  const x = lasting(gpu(), 'x', [4]);
  const { executable } = await compile(gpu(), 'long', () => {
    let y = x;
    for (let i = 0; i < 2100; i++) y = launchAdd(y, x);
    keep(y);
  });
  const before = gpu().memory.bytes;
  const { dispatches, rows } = await profile(gpu(), executable, {}, 1);
  expect(dispatches).toHaveLength(2100);
  expect(dispatches[2060]!.startMs).toBeGreaterThan(dispatches[2040]!.startMs);
  expect(dispatches.at(-1)!.startMs).toBeGreaterThan(dispatches[2060]!.startMs);
  expect(rows).toMatchObject([{ kernel: 'elementwise/add', calls: 2100, share: 1 }]);
  expect(gpu().memory.bytes).toBe(before);
  executable.destroy();
  release(gpu(), x);
});

test('profile() names an adapter without timestamps', async () => {
  const x = lasting(gpu(), 'x', [4]);
  const { executable } = await compile(gpu(), 'step', () => keep(launchAdd(x, x)));
  const without = { ...gpu(), features: new Set(['subgroups']) };
  await expect(profile(without, executable)).rejects
    .toThrow(`profile: "${gpu().adapter.name}" has no timestamps (feature timestamp-query)`);
  executable.destroy();
  release(gpu(), x);
});

const row = (kernel: string, fields: Partial<KernelTime>): KernelTime => ({
  kernel, variant: kernel.split('/')[0]!, calls: 1, ms: 1, share: 0.1,
  gflopsPerSecond: 0, gigabytesPerSecond: 1, ...fields,
});

test('formatProfile() aligns a line a kernel, and adds up what it leaves out', () => {
  const rows = [
    row('matmul/forward', {
      variant: 'matmul WG=8', calls: 12, ms: 34.5678, share: 0.5, gflopsPerSecond: 41.26,
    }),
    row('gelu/forward', { share: 0.25, ms: 17 }),
    row('a/b', { calls: 2 }), row('c/d', { calls: 3 }),
  ];
  expect(formatProfile(rows, 2).split('\n')).toEqual([
    'kernel                       calls      ms   share  GFLOP/s  GB/s',
    'matmul/forward  matmul WG=8     12  34.568  50.0 %     41.3  1.00',
    'gelu/forward                     1  17.000  25.0 %           1.00',
    '2 others                         5   2.000  20.0 %',
  ]);
});

test('writeChromeTrace() writes an event a launch, in microseconds', () => {
  const path = join(folderWith(), 'trace.json');
  writeChromeTrace(path, [{
    label: 'head matmul/forward', kernel: 'matmul/forward', variant: 'matmul', startMs: 1.5, ms: 0.25,
    flops: 5e5, bytes: 1e6,
  }]);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
    displayTimeUnit: 'ms',
    traceEvents: [{
      name: 'matmul/forward', cat: 'gpu', ph: 'X', pid: 1, tid: 1, ts: 1500, dur: 250,
      args: { scope: 'head matmul/forward', variant: 'matmul', gflopsPerSecond: 2, gigabytesPerSecond: 4 },
    }],
  });
});
