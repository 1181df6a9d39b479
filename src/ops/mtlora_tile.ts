import { matrixForm } from '../../kernels/matrix_form.ts';
import type { Tensor } from '../autograd/tensor.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Launch } from '../gpu/program.ts';
import { matrixTile } from './matmul_matrix.ts';
import { doubleTileFor, tileFor } from './matmul_tile.ts';
import type { Job } from './mtlora_branches.ts';

type TileLaunch = Launch & { readonly file: 'mtlora_tile' | 'mtlora_matrix' };

/**
 * The kernel, grid and tuning of the adapted linear layer by workgroup tiles, where its sizes fit; else null.
 *
 * @param factors of the base product
 */
export function mtloraTile(
  gpu: Gpu, { m, n, k, rank, branches }: Job, factors: readonly Tensor[],
): TileLaunch | null {
  if (k % 4 !== 0 || n % 4 !== 0) return null;
  const several = branches.length > 1;
  const matrix = matrixTile(gpu, factors, m, n);
  const tile = matrix ?? (several ? doubleTileFor(n) : tileFor(m, n));
  const file = matrix ? 'mtlora_matrix' : 'mtlora_tile';
  const aligned = [rank, ...branches.map(({ at }) => at)].every((at) => at % 4 === 0);
  return {
    file, ...matrix && { generated: { key: file, code: () => matrixForm('mtlora_tile') } },
    workgroups: Math.ceil(m / tile.BM) * Math.ceil(n / tile.BN),
    tuning: {
      ...tile, ...(aligned ? {} : { ItemP: 'f32', WIDTH_P: 1 }),
      SEVERAL: Number(several), UNROLL: Number(gpu.deviceClass === 'gpu'),
    },
  };
}
