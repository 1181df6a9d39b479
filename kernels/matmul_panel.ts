// matmul_panel: writes the WGSL of a matmul for SIMD-on-CPU drivers, where a workgroup is one subgroup.
//
//   y[g,r,c] = scale · Σ_k s[g,r,k] · p[g,k,c]  (+ bias[g,c])  (+ y[g,r,c] where accumulate)
//
// Lanes span columns. A panel of p (DEPTH k-values by COLUMNS·lanes columns) is copied once into
// function-scope arrays, which are read at constant indices only, so that the compiler folds the reads into
// vector instructions. Rows of s are streamed: each lane loads some k-values, and a broadcast hands each
// value to all lanes. Sums over the chunks of k live in y in between. `kernels/matmul.wgsl` is the plain form
// that this agrees with.
//
// Two means keep the driver's compiler in bounds: loops run to a bound plus a run-time zero, or it unrolls
// them; and long straight code is cut into blocks by conditions, which skip what lies past k.

import { biasLoad, columnOf, finishRow, keepRow, startQuad, storeQuad } from './panel_store.ts';
import { lines, range } from './unroll.ts';

export type PanelForm = {
  /** Lanes of a subgroup. */
  readonly lanes: number;
  /** Columns of a lane: a multiple of 4. */
  readonly columns: number;
  /** k-values of a panel, a multiple of 8; what lies past k counts as 0. */
  readonly depth: number;
  /**
   * How s is loaded: four k-values a lane (contiguous, all strides multiples of 4), four rows a lane (rows
   * contiguous; strides and m multiples of 4), or one value, with any strides.
   */
  readonly stream: 'vec4' | 'rows' | 'scalar';
  /** How p is loaded: vec4 along k, vec4 along columns, or single values with any strides. */
  readonly panel: 'k' | 'columns' | 'scalar';
  /**
   * Whole vec4 of columns are stored, or single columns, or, where s is loaded by `rows`, four
   * rows of a column at once: y lies transposed, as s and p are then the factors b and a of y = a b.
   */
  readonly store: 'vec4' | 'scalar' | 'rows';
  readonly bias: boolean;
  /** Whose elements are dropped where their bit of the mask is 0; rows of the mask are multiples of 4. */
  readonly mask?: 'stream' | 'panel' | 'output' | undefined;
  /** What else a workgroup does with its tile of y once that is complete. */
  readonly epilogue?: Epilogue;
};

export type Epilogue = {
  readonly key: string;
  readonly bindings: string;
  readonly body: string;
  /** Whether it calls `kept`. */
  readonly masked: boolean;
};

// which of four elements from `at` on, a multiple of 4, the mask keeps
const MASK = `@group(0) @binding(7) var<storage, read> mask: array<u32>;
fn kept(at: u32) -> vec4f {
  return vec4f((vec4u(mask[at >> 5u] >> (at & 31u)) >> vec4u(0u, 1u, 2u, 3u)) & vec4u(1u));
}`;

const BLOCK = 32;

// the names of the factors that are streamed and held
const factors = ({ store }: PanelForm) => store === 'rows' ? { s: 'b', p: 'a' } : { s: 'a', p: 'b' };

export function panelKey(form: PanelForm): string {
  const { lanes, columns, depth, stream, panel, store, bias } = form;
  const words = [lanes, columns, depth, stream, panel, store, bias && 'bias',
    form.mask && `mask ${form.mask}`, form.epilogue?.key];
  return `matmul_panel(${words.filter(Boolean).join(' ')})`;
}

export function matmulPanel(form: PanelForm): string {
  const { lanes, columns, depth, stream, panel, bias } = form;
  const { s, p } = factors(form);
  return `enable subgroups;
struct Params {
  m: u32, n: u32, k: u32, batch: u32,
  s_at: u32, s_batch: u32, s_row: u32, s_col: u32, p_at: u32, p_batch: u32, p_row: u32, p_col: u32,
  y_at: u32, y_batch: u32, y_row: u32, bias_batch: u32, scale: f32, accumulate: u32,
  rows: u32, y_stream: u32, mask_row: u32, update_row: u32, zero: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ${s}: array<${stream === 'scalar' ? 'f32' : 'vec4f'}>;
@group(0) @binding(2) var<storage, read> ${p}: array<${panel === 'scalar' ? 'f32' : 'vec4f'}>;
@group(0) @binding(3) var<storage, read_write> y: array<${form.store === 'scalar' ? 'f32' : 'vec4f'}>;
${bias ? '@group(0) @binding(4) var<storage, read> bias: array<f32>;' : ''}
${form.epilogue?.bindings ?? ''}
${form.mask || form.epilogue?.masked ? MASK : ''}
@compute @workgroup_size(${lanes})
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(subgroup_invocation_id) lane: u32) {
  let zero = params.zero;
  let tiles_c = (params.n + ${columns * lanes - 1}u) / ${columns * lanes}u;
  let tiles_r = (params.m + params.rows - 1u) / params.rows;
  let item = wg.y * grid.x + wg.x;
  let g = item / (tiles_c * tiles_r);
  if (g >= params.batch) { return; }
  let c0 = item % tiles_c * ${columns * lanes}u;
  let r0 = item / tiles_c % tiles_r * params.rows;
  let r1 = min(params.m, r0 + params.rows);
  let s_at = params.s_at + g * params.s_batch;
  let p_at = params.p_at + g * params.p_batch;
  let y_at = params.y_at + g * params.y_batch;
${blocks(form).map(({ index, depth: deep }) =>
  `  var panel${index}: array<vec4f, ${deep * columns / 4}>;`).join('\n')}
${bias ? biasLoad(form) : ''}
  for (var k0 = 0u; k0 < params.k; k0 += ${depth}u) {
${blocks(form).map((block) => inRange(block, fill(form, block))).join('\n')}
${rowLoop(form)}
${streamLoads(form)}
${lines(columns, (c) => `      var y${c} = 0.0;`)}
${blocks(form).map((block) => inRange(block, products(form, block))).join('\n')}
${lines(columns, (c) => `      y${c} *= params.scale;`)}
${form.store === 'rows' ? keepRow(form) : finishRow(form)}
    }${form.store === 'rows' ? storeQuad(form) : ''}${stream === 'rows' ? '\n    }' : ''}
  }
${form.epilogue?.body ?? ''}
}
`;
}

// the rows of y one by one; by `rows`, four of them share the loads of s
function rowLoop(form: PanelForm): string {
  const { lanes, depth, stream, mask } = form;
  if (stream !== 'rows') return '    for (var r = r0; r < r1; r++) {';
  return `    for (var quad = r0; quad < r1; quad += 4u) {
${lines(depth / lanes, (q) => {
    const k = `k0 + ${q * lanes}u + lane`;
    const masked = mask === 'stream' ? ` * kept((${k}) * params.mask_row + quad)` : '';
    const load = `${factors(form).s}[(s_at + (${k}) * params.s_col + quad) >> 2u]${masked}`;
    return `      let held${q} = select(vec4f(), ${load}, ${k} < params.k);`;
  })}
${form.store === 'rows' ? startQuad(form) : ''}
    for (var j = 0u; j < 4u + zero; j++) {
      let r = quad + j;`;
}

type Block = { readonly index: number; readonly from: number; readonly depth: number };

// the panel in blocks of k, each an array of its own
function blocks({ depth }: PanelForm): Block[] {
  return range(Math.ceil(depth / BLOCK)).map((index) => {
    const from = index * BLOCK;
    return { index, from, depth: Math.min(BLOCK, depth - from) };
  });
}

const inRange = ({ from }: Block, body: string): string =>
  `    if (k0 + ${from}u < params.k) {\n${body}\n    }`;

function fill(form: PanelForm, { index, from, depth }: Block): string {
  const { columns, lanes, panel } = form;
  const quads = columns / 4;
  if (panel === 'k') {                               // panel[c·depth/4 + k/4] holds four k-values of column c
    const load = 'b[(p_at + column * params.p_col + k) >> 2u]';
    return `    for (var i = 0u; i < ${depth / 4 * columns}u + zero; i++) {
      let c = i / ${depth / 4}u;
      let k = k0 + ${from}u + i % ${depth / 4}u * 4u;
      let column = min(${columnOf(form, 'c')}, params.n - 1u);
      panel${index}[i] = select(vec4f(), ${load}, k < params.k);
    }`;
  }
  const eachRow = (body: string): string => `    for (var i = 0u; i < ${depth * quads}u + zero; i++) {
      let k = k0 + ${from}u + i / ${quads}u;
${body}
      panel${index}[i] = select(vec4f(), value, k < params.k);
    }`;
  if (panel === 'columns') {                             // panel[k·quads + c/4] holds four columns of row k
    const masked = form.mask === 'panel' ? ' * kept(k * params.mask_row + column)' : '';
    return eachRow(`      let column = min(c0 + lane * 4u + i % ${quads}u * ${4 * lanes}u, params.n - 4u);
      let value = ${factors(form).p}[(p_at + k * params.p_row + column) >> 2u]${masked};`);
  }
  const values = range(4).map((e) => `b[at + min(column + ${e}u, params.n - 1u) * params.p_col]`).join(', ');
  return eachRow(`      let column = c0 + lane * 4u + i % ${quads}u * ${4 * lanes}u;
      let at = p_at + k * params.p_row;
      let value = vec4f(${values});`);
}

function panelValue({ columns, panel }: PanelForm, block: Block, k: number, c: number): string {
  return panel === 'k'
    ? `panel${block.index}[${c * block.depth / 4 + (k >> 2)}][${k & 3}]`
    : `panel${block.index}[${k * columns / 4 + (c >> 2)}][${c & 3}]`;
}

function streamLoads({ lanes, depth, stream, mask }: PanelForm): string {
  if (stream === 'rows') return lines(depth / lanes, (q) => `      let x${q} = held${q}[j];`);
  const each = stream === 'vec4' ? 4 : 1;
  return lines(Math.ceil(depth / (lanes * each)), (q) => {
    const k = `k0 + ${q * lanes * each}u + lane${each === 4 ? ' * 4u' : ''}`;
    const masked = mask === 'stream' ? ` * kept(r * params.mask_row + ${k})` : '';
    const load = each === 4
      ? `a[(s_at + r * params.s_row + ${k}) >> 2u]${masked}`
      : `a[s_at + r * params.s_row + (${k}) * params.s_col]`;
    const nothing = each === 4 ? 'vec4f()' : '0.0';
    return `      let x${q} = select(${nothing}, ${load}, ${k} < params.k);`;
  });
}

function products(form: PanelForm, block: Block): string {
  const { lanes, columns, stream } = form;
  const each = stream === 'vec4' ? 4 : 1;
  return lines(block.depth, (kk) => {
    const k = block.from + kk;
    const held = `x${Math.floor(k / (lanes * each))}${each === 4 ? `[${k & 3}]` : ''}`;
    const from = Math.floor(k / each) % lanes;
    const terms = range(columns).map((c) => `y${c} += x * ${panelValue(form, block, kk, c)};`).join(' ');
    return `        { let x = subgroupBroadcast(${held}, ${from}u); ${terms} }`;
  });
}
