import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';
import type { Gemm } from './matmul.ts';

// as in kernels/matmul_tile.wgsl
const [BM, BN, BK, WG] = [64, 64, 16, 256];

// a device with fewer workgroups than this is not busy: long sums are cut into runs
const BUSY = 256;
const SHORTEST_RUN = 16 * BK;

type Params = Readonly<Record<string, number>>;

/** A matmul by workgroup tiles; few outputs with long sums in two passes, partial sums and their total. */
export function tileMatmul(job: Gemm, buffers: Readonly<Record<string, Tensor>>, params: Params): void {
  const { m, n, k, batch = 1 } = job;
  const tiles = batch * Math.ceil(m / BM) * Math.ceil(n / BN);
  const flops = 2 * batch * m * n * k;
  const splits = Math.max(1, Math.min(Math.floor(BUSY / tiles), Math.floor(k / SHORTEST_RUN)));
  if (splits === 1) {
    const whole = { ...params, run: k, splits: 1 };
    dispatch('matmul_tile/forward', buffers, { workgroups: tiles, flops, params: whole });
    return;
  }
  const run = Math.ceil(k / splits / BK) * BK;
  const shape = { ...params, run, splits: Math.ceil(k / run) };
  const parts = empty([shape.splits, batch, m, n], 'matmul parts');
  const { a, b, y, bias, mask } = buffers as Record<'a' | 'b' | 'y' | 'bias' | 'mask', Tensor>;
  const workgroups = tiles * shape.splits;
  dispatch('matmul_tile/part', { a, b, mask, parts }, { workgroups, flops, params: shape });
  dispatch('matmul_tile/finish', { y, bias, mask, parts }, {
    workgroups: Math.ceil(batch * m * n / WG), params: shape, flops: batch * m * n * shape.splits,
  });
}
