import { expect, test, vi } from 'vitest';
import { lasting, type Tensor } from '../../src/autograd/tensor.ts';
import { planOnly } from '../../src/gpu/executable.ts';
import { keep } from '../../src/gpu/program.ts';
import type * as Wgsl from '../../src/gpu/wgsl.ts';
import { columnSums } from '../../src/ops/column_sums.ts';
import { sitesOf, tuneSite } from '../../bench/support/tuner.ts';
import { useGpu } from '../support/gpu.ts';

// a candidate that computes something else
vi.mock('../../src/gpu/wgsl.ts', async (original) => {
  const actual = await original<typeof Wgsl>();
  return {
    ...actual,
    loadKernel(...[file, tuning]: Parameters<typeof actual.loadKernel>) {
      const source = actual.loadKernel(file, tuning);
      if (file !== 'column_sums' || tuning?.WG !== 32) return source;
      return { ...source, code: source.code.replace('y[item] = sum;', 'y[item] = 0.999 * sum;') };
    },
  };
});

const gpu = useGpu();

test('tuneSite() times candidates that agree with the plain form, and names others', async () => {
  const sites = await sitesOf(async () => planOnly(gpu(), 'sums', () => {
    const x = (rows: number): Tensor => lasting(gpu(), 'x', [rows, 160]);
    for (const rows of [64, 63]) keep(columnSums(x(rows), 1, rows, 160, [160]));
  }));
  const [site, ...others] = sites.filter(({ family }) => family === 'column_sums/forward');
  expect(site).toMatchObject({ shape: '≤64', count: 2 });
  expect(others).toEqual([]);
  const { tried, wrong, usualMs, bestMs } = await tuneSite(gpu(), site!);
  expect(wrong).toEqual([expect.stringMatching(/^\{"WG":32\} differs by [1-9]\.\de-[23]$/)]);
  expect(tried).toBe(gpu().subgroupSize > 8 ? 2 : 3);             // 64 as usual, 128, where it fits 8
  expect(bestMs).toBeLessThanOrEqual(usualMs);
});
