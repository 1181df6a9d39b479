import { availableParallelism } from 'node:os';
import { matmulPanel, panelKey, type PanelForm } from '../../kernels/matmul_panel.ts';
import { lowRankUpdate, rowOf, type Update } from '../../kernels/mtlora_panel.ts';
import type { Gpu } from '../gpu/device.ts';
import type { Launch } from '../gpu/program.ts';
import { isForced } from './kernel_form.ts';
import type { Gemm, Matrix } from './matmul.ts';
import { tunedPanel } from './panel_choices.ts';

type PanelColumns = keyof typeof DEPTHS;
export type PanelLaunch = Launch & { params: Record<string, number> };

const CORES = availableParallelism();
const MIN_ROWS = 32;
const FEW_ROWS = 64;
// rows beyond which filling a panel is no matter
const LONG = 256;
// multiply-adds below which a variant of its own is not worth compiling
const WORTH = 2 ** 18;
// k-values of a panel by a lane's columns: 24 KiB, as the products slow down where a panel fills a core's L1
const DEPTHS = { 4: 96, 8: 96, 12: 64 } as const;
// where rows are loaded, which wants multiples of the lanes only: 14² tokens in two panels
const ROWS_DEPTHS = { ...DEPTHS, 8: 104 } as const;
// where single values are loaded: of small products, for which longer code would be compiled longer than run
const SHALLOW = 64;
const MASKED = { a: 'stream', b: 'panel', y: 'output' } as const;

/** The panel form of a matmul, where the shape is worth it; else null. */
export function panelLaunch(gpu: Gpu, job: Gemm, update?: Update): PanelLaunch | null {
  const { m, n, k, batch = 1, mask } = job;
  if ((batch * m * n * k < WORTH && !isForced()) || (mask && mask.row % 4 !== 0)) return null;
  const turned = !update && isTurned(job);
  const { s, p, rows: extent, columns: width } = turned
    ? { s: transposed(job.b), p: transposed(job.a), rows: n, columns: m }
    : { s: job.a, p: job.b, rows: m, columns: n };
  const form = formOf(gpu, job, s, p, turned);
  // four columns are loaded at a time
  if (width < 4 && form.panel === 'columns') return null;
  // a mask is read four elements at a time, as the operand that it drops from is
  if (form.mask === 'stream' && form.stream === 'scalar') return null;
  if (form.mask === 'stream' && form.stream === 'rows' && !turned) return null;
  if (form.mask === 'panel' && form.panel !== 'columns') return null;
  const whole = update ? { ...form, epilogue: lowRankUpdate(form, update) } : form;
  const tilesC = Math.ceil(width / (form.columns * form.lanes));
  const rows = Math.ceil(extent / rowTiles(extent, tilesC * batch) / 4) * 4;
  return {
    workgroups: batch * tilesC * Math.ceil(extent / rows),
    generated: {
      key: panelKey(whole), like: panelKey({ ...whole, mask: undefined }), code: () => matmulPanel(whole),
    },
    params: {
      m: extent, n: width, rows, y_stream: 0, mask_row: mask?.row ?? 0,
      update_row: update ? rowOf(update) : 0,
      ...placesOf(s, p),
    },
  };
}

/** Where the factors lie, as panel kernels' parameters. */
export const placesOf = (s: Factor, p: Factor) => ({
  s_at: s.at ?? 0, s_batch: s.batch ?? 0, s_row: s.row, s_col: s.col,
  p_at: p.at ?? 0, p_batch: p.batch ?? 0, p_row: p.row, p_col: p.col,
});

type Factor = Omit<Matrix, 'tensor'>;

const transposed = ({ row, col, ...rest }: Factor): Factor => ({ ...rest, row: col, col: row });

/**
 * Whether yᵀ = bᵀ aᵀ is computed: of few rows and many columns, a panel of b would serve only those rows.
 * Both factors are read, and y is written, four at once along those.
 */
function isTurned({ a, b, y, m, n, bias, mask }: Gemm): boolean {
  const narrow = m >= MIN_ROWS && m <= Math.min(n, FEW_ROWS);
  const along = a.row === 1 && b.col === 1 && quads(a, m, a.col) && quads(b, n, b.row);
  return narrow && along && quads({ ...y, col: 1 }, n, y.row) && !bias && (!mask || mask.on === 'b');
}

function formOf(gpu: Gpu, job: Gemm, s: Factor, p: Factor, turned: boolean): PanelForm {
  const { m, n, k, y, mask } = job;
  const [extent, width] = turned ? [n, m] : [m, n];
  const lanes = gpu.subgroupSize;
  const [stream, panel] = [streamOf(s, extent, k), panelOf(p, width, k)];
  const usual = columnsFor(width, lanes);
  const { columns, depth } = tunedPanel(gpu, { rows: extent, width, k }, `${stream} ${panel}`,
    { columns: usual, depth: usualDepth(k, usual, stream, panel) });
  const byQuads = quads({ ...y, col: 1 }, width, y.row);
  return {
    lanes, columns, depth, stream, panel,
    store: turned ? 'rows' : byQuads ? 'vec4' : 'scalar',
    bias: Boolean(job.bias),
    mask: mask ? turned ? 'stream' : MASKED[mask.on] : undefined,
  };
}

function usualDepth(
  k: number, columns: PanelColumns, stream: PanelForm['stream'], panel: PanelForm['panel'],
): number {
  if (k <= 8) return 8;
  if (stream === 'scalar' || panel === 'scalar') return SHALLOW;
  return (stream === 'rows' ? ROWS_DEPTHS : DEPTHS)[columns];
}

function streamOf(a: Factor, m: number, k: number): PanelForm['stream'] {
  if (a.col === 1 && quads(a, k, a.row)) return 'vec4';
  return a.row === 1 && quads(a, m, a.col) ? 'rows' : 'scalar';
}

function panelOf(p: Factor, n: number, k: number): PanelForm['panel'] {
  if (p.row === 1 && quads(p, k, p.col)) return 'k';
  return p.col === 1 && quads(p, n, p.row) ? 'columns' : 'scalar';
}

/** Whether four elements can be read at once. */
export const quads = ({ at = 0, batch = 0 }: Factor, extent: number, stride: number): boolean =>
  [at, batch, extent, stride].every((value) => value % 4 === 0);

/** Few, as each fills its panels anew, but as many for one core as for another, and more of long ones. */
export function rowTiles(m: number, others: number): number {
  const most = Math.max(1, Math.floor(m / MIN_ROWS));
  const counts = Array.from({ length: most }, (_, i) => i + 1);
  const enough = (count: number): boolean => others * count >= (m / count >= LONG ? 2 * CORES : CORES);
  return counts.find((count) => enough(count) && others * count % CORES === 0) ?? counts.find(enough) ?? most;
}

// columns that waste little: few variants, as each costs a second to compile
function columnsFor(n: number, lanes: number): PanelColumns {
  const waste = (columns: number): number => Math.ceil(n / (columns * lanes)) * columns * lanes / n;
  const widths = [8, 4, 12] as const;
  return widths.reduce((best, columns) => waste(columns) < waste(best) * 0.95 ? columns : best);
}
