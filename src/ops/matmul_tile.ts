import { matrixForm } from '../../kernels/matrix_form.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing, type Launch } from '../gpu/program.ts';
import type { Gemm, Matrix } from './matmul.ts';
import { matrixTile } from './matmul_matrix.ts';
import { tunedTile } from './tile_choices.ts';

// a device with fewer workgroups than this is not busy: long sums are cut into runs
const BUSY = 1024;
const MAX_SPLITS = 256;
const SHORTEST_RUN = 256;
// outputs of a workgroup of kernels/matmul_finish.wgsl
const FINISHED = 32;
// what is read of the factors for what is written and read of partial sums
const WORTH = 4;

type Params = Readonly<Record<string, number>>;
type Tuning = NonNullable<Launch['tuning']>;
type Tile = Readonly<Record<'BM' | 'BN' | 'BK' | 'TM' | 'TN' | 'WG', number>>;

/** A matmul by workgroup tiles; few outputs with long sums in two passes, partial sums and their total. */
export function tileMatmul(job: Gemm, buffers: Readonly<Record<string, Tensor>>, params: Params): void {
  const { m, n, k, batch = 1 } = job;
  const { gpu } = tracing('matmul');
  const matrix = matrixTile(gpu, [job.a.tensor, job.b.tensor], m, n);
  const tile: Tuning & Pick<Tile, 'BM' | 'BN' | 'BK'> = matrix ?? tunedTile(gpu, { m, n, k }, tileFor(m, n));
  const tiles = batch * Math.ceil(m / tile.BM) * Math.ceil(n / tile.BN);
  const flops = 2 * batch * m * n * k;
  const UNROLL = Number(gpu.deviceClass === 'gpu');
  const tuning = { ...tile, ...readingOf(job), UNROLL };
  const file = matrix ? 'matmul_matrix' : 'matmul_tile';
  const generated = matrix
    ? { generated: { key: file, code: () => matrixForm('matmul_tile') } } : {};
  const most = Math.floor(Math.min(
    MAX_SPLITS, BUSY / tiles, k / SHORTEST_RUN, k * (m + n) / (2 * m * n * WORTH),
  ));
  const { a, b, y, bias, mask } = buffers as Record<'a' | 'b' | 'y' | 'bias' | 'mask', Tensor>;
  if (most <= 1) {
    const whole = { ...params, run: k, splits: 1 };
    const launch = { workgroups: tiles, flops, tuning, params: whole, ...generated };
    if (quads({ ...job.y, col: 1 }, n, job.y.row)) {
      dispatch(`${file}/forward_quads`, { a, b, y_quads: y, bias, mask }, launch);
    } else {
      dispatch(`${file}/forward`, { a, b, y, bias, mask }, launch);
    }
    return;
  }
  const run = Math.ceil(k / most / tile.BK) * tile.BK;
  const shape = { ...params, run, splits: Math.ceil(k / run) };
  const parts = empty([shape.splits, batch, m, n], 'matmul parts');
  const workgroups = tiles * shape.splits;
  const launch = { workgroups, flops, tuning, params: shape, ...generated };
  dispatch(`${file}/part`, { a, b, mask, parts }, launch);
  dispatch('matmul_finish/finish', { y, bias, mask, parts }, {
    workgroups: Math.ceil(batch * m * n / FINISHED), params: shape, flops: batch * m * n * shape.splits,
  });
}

// what every device grants a workgroup
const WORKGROUP_BYTES = 16384;

/**
 * The tile that wastes least of [m, n] and has as much of it a thread as fits its registers; long and narrow
 * where one side is short, as then reading the other is all there is to do.
 */
export function tileFor(m: number, n: number): Tile {
  const [BM, BN] = [sideFor(m, n), sideFor(n, m)];
  const [TM, TN] = [BM, BN].map((side) => side >= 96 && Math.min(BM, BN) > 32 ? 8 : 4) as [number, number];
  const bytes = 16 * (BM / 4 + BN / 4 + 2);                        // of a depth of one, padded
  return { BM, BN, BK: 16 * bytes > WORKGROUP_BYTES ? 8 : 16, TM, TN, WG: BM / TM * BN / TN };
}

const NARROW = [4, 8, 16, 24, 32];

function sideFor(extent: number, other: number): number {
  const narrow = NARROW.find((side) => extent <= side);
  if (narrow) return narrow;
  if (other <= 16) return 256;
  return widest(extent);
}

// of little waste
function widest(extent: number): number {
  const padded = (side: number): number => Math.ceil(extent / side) * side;
  return [128, 96, 64].reduce((best, side) => padded(side) < padded(best) ? side : best);
}

/** The tile of a product whose thread keeps two sums. */
export function doubleTileFor(n: number): Tile {
  const BN = widest(n);
  return { BM: 64, BN, BK: 16, TM: 8, TN: 4, WG: 8 * BN / 4 };
}

/** How the kernel reads the factors: along k where that is contiguous, four at once where all is aligned. */
function readingOf({ a, b, m, n, k, mask }: Gemm): Tuning {
  const masked = (on: 'a' | 'b'): boolean => mask?.on === on && mask.row % 4 !== 0;
  const [alongA, alongB] = [a.col === 1, b.row === 1];
  const wideA = !masked('a') && (alongA ? quads(a, k, a.row) : a.row === 1 && quads(a, m, a.col));
  const wideB = !masked('b') && (alongB ? quads(b, k, b.col) : b.col === 1 && quads(b, n, b.row));
  return {
    ItemA: wideA ? 'vec4f' : 'f32', WIDTH_A: wideA ? 4 : 1, A_ALONG_K: Number(alongA),
    ItemB: wideB ? 'vec4f' : 'f32', WIDTH_B: wideB ? 4 : 1, B_ALONG_K: Number(alongB),
  };
}

const quads = ({ at = 0, batch = 0 }: Matrix, extent: number, stride: number): boolean =>
  [at, batch, extent, stride].every((value) => value % 4 === 0);
