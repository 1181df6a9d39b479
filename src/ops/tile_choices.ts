import type { Gpu } from '../gpu/device.ts';
import { tuned, upTo } from '../gpu/tuning.ts';

/** Outputs of a workgroup, k-values of its tiles, outputs of a thread, and threads. */
type Tile = Readonly<Record<'BM' | 'BN' | 'BK' | 'TM' | 'TN' | 'WG', number>>;

// what every device grants a workgroup
const WORKGROUP_BYTES = 16384;
const MOST_THREADS = 256;
const FEWEST_THREADS = 64;

/** The tile that was tuned for a product [m, k] · [k, n]; of a short side there is only the usual one. */
export function tunedTile(
  gpu: Gpu, { m, n, k }: Readonly<Record<'m' | 'n' | 'k', number>>, usual: Tile,
): Tile {
  if (Math.min(usual.BM, usual.BN) < 64) return usual;
  return tuned(gpu, 'matmul_tile', `${upTo(m)} by ${upTo(k)} by ${n}`, usual, candidates);
}

function candidates(): Tile[] {
  const sides = [64, 96, 128];
  const sizes = sides.flatMap((BM) => sides.flatMap((BN) => [8, 16].map((BK) => ({ BM, BN, BK }))));
  const threads = [[4, 4], [8, 4], [4, 8], [8, 8]] as const;
  return sizes.flatMap((size) => threads.map(([TM, TN]) =>
    ({ ...size, TM, TN, WG: size.BM / TM * size.BN / TN })))
    .filter((tile) => tile.WG >= FEWEST_THREADS && tile.WG <= MOST_THREADS
      && tile.BK * bytesOf(tile) <= WORKGROUP_BYTES);
}

/** What a tile's factors take in workgroup memory for each k, padded. */
function bytesOf({ BM, BN }: Pick<Tile, 'BM' | 'BN'>): number {
  return 16 * (BM / 4 + BN / 4 + 2);
}
