import { matmulMatrix } from '../../kernels/matmul_matrix.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Launch } from '../gpu/program.ts';

/** A shape that a device's matrix units multiply: [m, k] by [k, n], in f16 with sums in f32. */
export type MatrixShape = { readonly m: number; readonly n: number; readonly k: number };

let chosen: MatrixShape | null = null;

/**
 * Traces `body` with large matrix products in half precision, by matrices of a shape that the adapter lists.
 * What exceeds 65,504 there becomes infinite, and gradients below 6e-8 become 0: scale the loss.
 */
export function withMatrices<T>(shape: MatrixShape, body: () => T): T {
  const outer = chosen;
  chosen = shape;
  try {
    return body();
  } finally {
    chosen = outer;
  }
}

type MatrixTile = {
  readonly tile: Readonly<Record<string, number>> & Readonly<Record<'BM' | 'BN' | 'BK', number>>;
  readonly generated: NonNullable<Launch['generated']>;
};

// a tile of four subgroups, two by two, whose sums a thread can hold
const [BM, BN, BK, SUBGROUPS] = [128, 64, 32, 4];

/** The tile of a product by matrix units, where that was asked for and is worth it; else null. */
export function matrixTile(gpu: Gpu, m: number, n: number): MatrixTile | null {
  if (!chosen || m < BM / 4 || n < BN / 2) return null;
  if (!gpu.features.has('chromium-experimental-subgroup-matrix')) {
    throw new Error('matmul: half precision needs subgroup matrices, which this device does not have');
  }
  const WG = SUBGROUPS * gpu.subgroupSize;
  const TM = 8;
  return {
    generated: { key: 'matmul_matrix', code: matmulMatrix },
    tile: {
      BM, BN, BK, TM, TN: BM * BN / WG / TM, WG, SUBGROUP: gpu.subgroupSize,
      MATRIX_M: chosen.m, MATRIX_N: chosen.n, MATRIX_K: chosen.k,
    },
  };
}
