import { matmulMatrix } from '../../kernels/matmul_matrix.ts';
import type { Gpu, MatrixShape } from '../gpu/device.ts';
import type { Launch } from '../gpu/program.ts';
import type { Gemm } from './matmul.ts';

type MatrixTile = {
  readonly tile: Readonly<Record<string, number>> & Readonly<Record<'BM' | 'BN' | 'BK', number>>;
  readonly generated: NonNullable<Launch['generated']>;
};

// a tile of four subgroups, two by two, whose sums a thread can hold
const [BM, BN, BK, SUBGROUPS] = [128, 64, 32, 4];

/**
 * The tile of a product by matrix units, where the device has them, a factor is stored as f16 and the product
 * is worth it; else null. The other factor may be a weight in f32: it is rounded to f16 on its way.
 */
export function matrixTile(gpu: Gpu, { a, b, m, n }: Gemm): MatrixTile | null {
  const shape = gpu.matrices.find(fits);
  const halves = [a, b].some(({ tensor }) => tensor.dtype === 'f16');
  if (!shape || !halves || m < BM / 4 || n < BN / 2) return null;
  const WG = SUBGROUPS * gpu.subgroupSize;
  const TM = 8;
  return {
    generated: { key: 'matmul_matrix', code: matmulMatrix },
    tile: {
      BM, BN, BK, TM, TN: BM * BN / WG / TM, WG, SUBGROUP: gpu.subgroupSize,
      MATRIX_M: shape.m, MATRIX_N: shape.n, MATRIX_K: shape.k,
    },
  };
}

// whole ones in a subgroup's quarter of the tile
const fits = ({ m, n, k }: MatrixShape): boolean =>
  BM / 2 % m === 0 && BN / 2 % n === 0 && BK % k === 0;
