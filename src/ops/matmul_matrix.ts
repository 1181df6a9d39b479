import type { Tensor } from '../autograd/tensor.ts';
import type { Gpu, MatrixShape } from '../gpu/device.ts';

type MatrixTile = Readonly<Record<string, number>> & Readonly<Record<'BM' | 'BN' | 'BK', number>>;

// a tile of four subgroups, two by two, whose sums a thread can hold
const [BM, BN, BK, SUBGROUPS] = [128, 64, 32, 4];

/**
 * The tile of a product [m, n] by matrix units, where the device has them, a factor is stored as f16 and the
 * product is worth it; else null. The other factor may be a weight in f32: it is rounded to f16 on its way.
 */
export function matrixTile(gpu: Gpu, factors: readonly Tensor[], m: number, n: number): MatrixTile | null {
  const shape = gpu.matrices.find(fits);
  const halves = factors.some(({ dtype }) => dtype === 'f16');
  if (!shape || !halves || m < BM / 4 || n < BN / 2) return null;
  const WG = SUBGROUPS * gpu.subgroupSize;
  const TM = 8;
  return {
    BM, BN, BK, TM, TN: BM * BN / WG / TM, WG, SUBGROUP: gpu.subgroupSize,
    MATRIX_M: shape.m, MATRIX_N: shape.n, MATRIX_K: shape.k,
  };
}

// whole ones in a subgroup's quarter of the tile
const fits = ({ m, n, k }: MatrixShape): boolean =>
  BM / 2 % m === 0 && BN / 2 % n === 0 && BK % k === 0;
