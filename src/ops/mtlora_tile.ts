import type { Gpu } from '../gpu/device.ts';
import type { Launch } from '../gpu/program.ts';
import { doubleTileFor, tileFor } from './matmul_tile.ts';
import type { Job } from './mtlora_branches.ts';

/** The grid and tuning of the adapted linear layer by workgroup tiles, where its sizes fit; else null. */
export function mtloraTile(gpu: Gpu, { m, n, k, rank, branches }: Job): Launch | null {
  if (k % 4 !== 0 || n % 4 !== 0) return null;
  const several = branches.length > 1;
  const tile = several ? doubleTileFor(n) : tileFor(m, n);
  const aligned = [rank, ...branches.map(({ at }) => at)].every((at) => at % 4 === 0);
  return {
    workgroups: Math.ceil(m / tile.BM) * Math.ceil(n / tile.BN),
    tuning: {
      ...tile, ...(aligned ? {} : { ItemP: 'f32', WIDTH_P: 1 }),
      SEVERAL: Number(several), UNROLL: Number(gpu.deviceClass === 'gpu'),
    },
  };
}
