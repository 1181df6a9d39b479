import { thinKey, thinPanel, thinWidth, type ThinForm } from '../../kernels/thin_panel.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Gemm } from './matmul.ts';
import { placesOf, quads, rowTiles, type PanelLaunch } from './matmul_panel.ts';

const THIN = 8;

/** The panel form of a product with a thin side, where all can be read and written by fours; else null. */
export function thinLaunch(gpu: Gpu, job: Gemm): PanelLaunch | null {
  const { a, b, y, m, n, k, batch = 1 } = job;
  if (job.bias || job.mask || !quads({ ...y, col: 1 }, n, y.row)) return null;
  const common = { y_stream: 0, mask_row: 0, update_row: 0, ...placesOf(a, b) };
  if (isThin(n) && a.col === 1 && b.row === 1 && quads(a, k, a.row) && quads(b, k, b.col)) {
    const rows = Math.ceil(m / rowTiles(m, batch));
    const workgroups = batch * Math.ceil(m / rows);
    return { workgroups, generated: textOf(gpu, 'columns', n), params: { ...common, rows } };
  }
  if (isThin(m) && a.row === 1 && b.col === 1 && quads(a, m, a.col) && quads(b, n, b.row)) {
    const workgroups = batch * Math.ceil(n / thinWidth({ lanes: gpu.subgroupSize }));
    return { workgroups, generated: textOf(gpu, 'rows', m), params: { ...common, rows: m } };
  }
  return null;
}

const isThin = (extent: number): boolean => extent % 4 === 0 && extent <= THIN;

function textOf(gpu: Gpu, thin: ThinForm['thin'], rank: number): PanelLaunch['generated'] {
  const form = { lanes: gpu.subgroupSize, rank, thin };
  return { key: thinKey(form), code: () => thinPanel(form) };
}
