import { availableParallelism } from 'node:os';
import { matmulPanel, panelKey, type PanelForm } from '../../kernels/matmul_panel.ts';
import { lowRankUpdate, type Update } from '../../kernels/mtlora_panel.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Launch } from '../gpu/program.ts';
import { isForced } from './kernel_form.ts';
import type { Gemm, Matrix } from './matmul.ts';

type PanelColumns = keyof typeof DEPTHS;
type PanelLaunch = Launch & { params: Record<string, number> };

const CORES = availableParallelism();
const MIN_ROWS = 32;
// multiply-adds below which a variant of its own is not worth compiling
const WORTH = 2 ** 18;
// k-values of a panel by a lane's columns: 24 KiB, as the products slow down where a panel fills a core's L1
const DEPTHS = { 4: 96, 8: 96, 12: 64 } as const;
const MASKED = { a: 'stream', b: 'panel', y: 'output' } as const;

/** The panel form of a matmul, where the shape is worth it; else null. */
export function panelLaunch(gpu: Gpu, job: Gemm, update?: Update): PanelLaunch | null {
  const { a, b, y, m, n, k, batch = 1 } = job;
  const { mask } = job;
  if ((batch * m * n * k < WORTH && !isForced()) || n < 4 || (mask && mask.row % 4 !== 0)) return null;
  const lanes = gpu.subgroupSize;
  const columns = columnsFor(n, lanes);
  const depth = k <= 8 ? 8 : DEPTHS[columns];
  const form: PanelForm = {
    lanes, columns, depth,
    stream: streamOf(a, m, k),
    panel: b.row === 1 && quads(b, k, b.col) ? 'k' : b.col === 1 && quads(b, n, b.row) ? 'columns' : 'scalar',
    store: n % (columns * lanes) === 0 && quads({ ...y, col: 1 }, n, y.row) ? 'vec4' : 'scalar',
    bias: Boolean(job.bias),
    mask: mask ? MASKED[mask.on] : undefined,
  };
  // a mask is read four elements at a time, as the operand that it drops from is
  if (mask?.on === 'a' && form.stream !== 'vec4') return null;
  if (mask?.on === 'b' && form.panel !== 'columns') return null;
  const whole = update ? { ...form, epilogue: lowRankUpdate(form, update) } : form;
  const tilesC = Math.ceil(n / (columns * lanes));
  const rows = Math.ceil(m / rowTiles(m, tilesC * batch) / 4) * 4;
  return {
    workgroups: batch * tilesC * Math.ceil(m / rows),
    generated: { key: panelKey(whole), code: () => matmulPanel(whole) },
    params: {
      rows, y_stream: 0, mask_row: mask?.row ?? 0,
      s_at: a.at ?? 0, s_batch: a.batch ?? 0, s_row: a.row, s_col: a.col,
      p_at: b.at ?? 0, p_batch: b.batch ?? 0, p_row: b.row, p_col: b.col,
    },
  };
}

function streamOf(a: Matrix, m: number, k: number): PanelForm['stream'] {
  if (a.col === 1 && quads(a, k, a.row)) return 'vec4';
  return a.row === 1 && quads(a, m, a.col) ? 'rows' : 'scalar';
}

const quads = ({ at = 0, batch = 0 }: Matrix, extent: number, stride: number): boolean =>
  [at, batch, extent, stride].every((value) => value % 4 === 0);

// few, as each fills its panels anew, but enough for every core, and as many for one core as for another
function rowTiles(m: number, others: number): number {
  const most = Math.max(1, Math.floor(m / MIN_ROWS));
  const counts = Array.from({ length: most }, (_, i) => i + 1);
  const even = counts.find((count) => others * count >= 2 * CORES && others * count % CORES === 0);
  return even ?? counts.find((count) => others * count >= 2 * CORES) ?? most;
}

// columns that waste little: few variants, as each costs a second to compile
function columnsFor(n: number, lanes: number): PanelColumns {
  const waste = (columns: number): number => Math.ceil(n / (columns * lanes)) * columns * lanes / n;
  return ([8, 12, 4] as const).reduce((best, columns) => waste(columns) < waste(best) * 0.95 ? columns : best);
}
