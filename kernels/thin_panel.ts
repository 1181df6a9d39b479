// thin_panel: writes the WGSL of products with one thin side, of so few columns or rows that a panel of them
// would leave most lanes idle. A workgroup is one subgroup, as in matmul_panel.
//
//   columns   y[g,r,j] = scale · Σ_k a[g,r,k] · b[g,k,j]  (+ y[g,r,j] where accumulate)    j < rank
//   rows      y[g,j,c] = scale · Σ_k a[g,j,k] · b[g,k,c]  (+ y[g,j,c] where accumulate)    j < rank
//
// Thin columns: lanes span k, and add up at the end of a row. b lies in a panel, DEPTH k-values of it.
// Thin rows: lanes span columns and keep all sums of theirs; a lane loads a row of a, and hands it to all.
// `kernels/matmul.wgsl` is the plain form that both agree with.
import { apart, lines, overLanes, range } from './unroll.ts';

export type ThinForm = {
  /** Lanes of a subgroup. */
  readonly lanes: number;
  /** Of the thin side, a multiple of 4. */
  readonly rank: number;
  readonly thin: 'rows' | 'columns';
};

// vec4 of a lane in a panel's depth
const QUADS = 3;

/** Columns of a workgroup of thin rows. */
export const thinWidth = ({ lanes }: Pick<ThinForm, 'lanes'>): number => 4 * lanes;

export const thinKey = ({ lanes, rank, thin }: ThinForm): string => `thin_panel(${lanes} ${rank} ${thin})`;

export function thinPanel(form: ThinForm): string {
  const { lanes, thin } = form;
  return `enable subgroups;
struct Params {
  m: u32, n: u32, k: u32, batch: u32,
  s_at: u32, s_batch: u32, s_row: u32, s_col: u32, p_at: u32, p_batch: u32, p_row: u32, p_col: u32,
  y_at: u32, y_batch: u32, y_row: u32, bias_batch: u32, scale: f32, accumulate: u32,
  rows: u32, y_stream: u32, mask_row: u32, update_row: u32, zero: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
fn put(at: u32, value: vec4f, add: bool) {
  var sum = value * params.scale;
  if (add) { sum += y[at >> 2u]; }
  y[at >> 2u] = sum;
}
${overLanes(lanes, 'sum_of', 'vec4f', (a, b) => `${a} + ${b}`)}
@compute @workgroup_size(${lanes})
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(subgroup_invocation_id) lane: u32) {
  let zero = params.zero;
  let item = wg.y * grid.x + wg.x;
${thin === 'columns' ? thinColumns(form) : thinRows(form)}
}
`;
}

function thinColumns({ lanes, rank }: ThinForm): string {
  const at = (q: number): string => `k0 + ${4 * lanes * q}u + lane * 4u`;
  const sums = (quad: number): string => range(4).map((e) => `s${4 * quad + e}`).join(', ');
  return `  let tiles = (params.m + params.rows - 1u) / params.rows;
  let g = item / tiles;
  if (g >= params.batch) { return; }
  let r0 = item % tiles * params.rows;
  let r1 = min(params.m, r0 + params.rows);
  let s_at = params.s_at + g * params.s_batch;
  let p_at = params.p_at + g * params.p_batch;
  var panel: array<vec4f, ${QUADS * rank}>;
  for (var k0 = 0u; k0 < params.k; k0 += ${4 * lanes * QUADS}u) {
    for (var i = 0u; i < ${QUADS * rank}u + zero; i++) {
      let k = k0 + i / ${rank}u * ${4 * lanes}u + lane * 4u;
      panel[i] = select(vec4f(), b[(p_at + i % ${rank}u * params.p_col + k) >> 2u], k < params.k);
    }
    for (var r = r0; r < r1; r++) {
${lines(QUADS, (q) => `      let x${q} = a[(s_at + r * params.s_row + min(${at(q)}, params.k - 4u)) >> 2u];`)}
${lines(rank, (j) => `      var s${j} = 0.0;`)}
${apart(0, lines(rank, (j) => {
    const terms = range(QUADS).map((q) => `x${q} * panel[${q * rank + j}]`).join(' + ');
    return `      let t${j} = ${terms};\n      s${j} = (t${j}.x + t${j}.y) + (t${j}.z + t${j}.w);`;
  }))}
      let start = params.y_at + g * params.y_batch + r * params.y_row;
${lines(rank / 4, (quad) => `      let sum${quad} = sum_of(vec4f(${sums(quad)}));`)}
      if (lane == 0u) {
${lines(rank / 4, (quad) =>
    `        put(start + ${4 * quad}u, sum${quad}, k0 > 0u || params.accumulate == 1u);`)}
      }
    }
  }`;
}

function thinRows({ lanes, rank }: ThinForm): string {
  const quads = rank / 4;
  const products = (i: number): string => lines(rank, (j) =>
    `        s${j} += x * subgroupBroadcast(f${Math.floor(j / 4)}[${j % 4}], ${i}u);`);
  return `  let tiles = (params.n + ${4 * lanes - 1}u) / ${4 * lanes}u;
  let g = item / tiles;
  if (g >= params.batch) { return; }
  let column = item % tiles * ${4 * lanes}u + lane * 4u;
  let s_at = params.s_at + g * params.s_batch;
  let p_at = params.p_at + g * params.p_batch + min(column, params.n - 4u);
${lines(rank, (j) => `  var s${j} = vec4f();`)}
  for (var k0 = 0u; k0 < params.k; k0 += ${lanes}u) {
    let at = (s_at + min(k0 + lane, params.k - 1u) * params.s_col) >> 2u;
${lines(quads, (q) => `    let f${q} = select(vec4f(), a[at + ${q}u], k0 + lane < params.k);`)}
${lines(lanes, (i) => `      {
        let x = b[(p_at + min(k0 + ${i}u, params.k - 1u) * params.p_row) >> 2u];
${products(i)}
      }`)}
  }
  if (column < params.n) {
    let start = params.y_at + g * params.y_batch + column;
    var sums = array(${range(rank).map((j) => `s${j}`).join(', ')});
    for (var j = 0u; j < ${rank}u + zero; j++) {
      put(start + j * params.y_row, sums[j], params.accumulate == 1u);
    }
  }`;
}
