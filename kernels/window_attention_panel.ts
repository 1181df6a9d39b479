// window_attention_panel: writes the WGSL of window attention for SIMD-on-CPU drivers, where a workgroup
// is one subgroup. It walks a run of windows with one head. `kernels/window_attention.wgsl` has the maths
// and agrees.
//
//   forward    y, lse
//   backward   dqkv, and part[run, head, i, j] = Σ ds_ij over the run's windows, for the table's gradient
//
// Queries are streamed, one after the other. Lanes span the keys while scores are made, and the head dim
// while rows are mixed: a lane's keys are `lane`, `lane + LANES`, …, and its channels are four in a row.
// What a query meets lies in function-scope arrays (panels). Loops fill them, kept from being unrolled by
// a run-time zero in their bounds; later they are touched at constant indices only, so that the compiler
// folds that into vector instructions. A broadcast hands a lane's value to all.
import { readFileSync } from 'node:fs';
import { apart, lines, overLanes, range } from './unroll.ts';

export type AttentionPanel = {
  /** Lanes of a subgroup. */
  readonly lanes: number;
  /** A multiple of 4 · lanes. */
  readonly headDim: number;
  /** Side of a window in tokens. */
  readonly side: number;
};

const WINDOW = readFileSync(new URL('lib/window.wgsl', import.meta.url), 'utf8');

export function attentionPanelKey({ lanes, headDim, side }: AttentionPanel): string {
  return `window_attention_panel(${lanes} ${headDim} ${side})`;
}

export function attentionPanel(form: AttentionPanel): string {
  const { lanes, headDim, side } = form;
  return `enable subgroups;
const LANES = ${lanes}u;
const SIDE = ${side}u;
const AREA = ${side * side}u;
const KEYS = ${keysOf(form)}u;                                 // of a lane
const QUADS = ${headDim / 4}u;                                // vec4 of a head's row
struct Params {
  windows: u32, heads: u32, height: u32, width: u32, shift: u32, scale: f32, run: u32, runs: u32, zero: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(2) var<storage, read> dy: array<vec4f>;
@group(0) @binding(3) var<storage, read> table: array<f32>;
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> dqkv: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> part: array<f32>;
${WINDOW}
fn y_at(token: u32, head: u32) -> u32 { return (token * params.heads + head) * QUADS; }
fn q_at(token: u32, head: u32) -> u32 { return y_at(3u * token, head); }
fn k_at(token: u32, head: u32) -> u32 { return y_at(3u * token + 1u, head); }
fn v_at(token: u32, head: u32) -> u32 { return y_at(3u * token + 2u, head); }
fn key_of(lane: u32, c: u32) -> u32 { return min(lane + c * LANES, AREA - 1u); }
${overLanes(lanes, 'sum_of', 'f32', (a, b) => `${a} + ${b}`)}
${overLanes(lanes, 'max_of', 'f32', (a, b) => `max(${a}, ${b})`)}
${forward(form)}
${backward(form)}`;
}

function forward(form: AttentionPanel): string {
  const s = range(keysOf(form)).map((c) => `s${c}`);
  const panels = { keys: keysOf(form) * form.headDim / 4, values: form.side ** 2 * quadsOf(form) };
  return walk(form, 'forward', panels, `
${fillKeys('keys', 'k_at')}
${fillRows(form, 'values', 'v_at')}
    for (var i = 0u; i < AREA; i++) {
      let token = token_of(win, i);
${loadRow(form, 'x', 'qkv', 'q_at', ' * params.scale')}
${startScores(form)}
${products(form, { row: 'x', panel: 'keys', to: 's' })}
${maskTail(form, '-3.0e38')}
      let most = max_of(${s.reduce((a, b) => `max(${a}, ${b})`)});
${s.map((v) => `      ${v} = exp(${v} - most);`).join('\n')}
      let sum = sum_of(${s.join(' + ')});
${zeroRow(form, 'mix')}
${mix(form, ['s'], (j, q) => `mix${q} += s * values[${j * quadsOf(form) + q}];`)}
${storeRow(form, 'y', 'y_at', (q) => `mix${q} / sum`)}
      if (lane == 0u) { lse[(window * params.heads + head) * AREA + i] = most + log(sum); }
    }`);
}

function backward(form: AttentionPanel): string {
  const keys = range(keysOf(form));
  const quads = quadsOf(form);
  const area = form.side ** 2;
  const [byKey, byRow] = [keys.length * form.headDim / 4, area * quads];
  const panels = { keys: byKey, values: byKey, k_rows: byRow, dk: byRow, dv: byRow };
  return walk(form, 'backward', panels, `
${fillKeys('keys', 'k_at')}
${fillKeys('values', 'v_at')}
${fillRows(form, 'k_rows', 'k_at')}
    for (var j = 0u; j < ${area * quads}u + zero; j++) {
      dk[j] = vec4f();
      dv[j] = vec4f();
    }
    for (var i = 0u; i < AREA; i++) {
      let token = token_of(win, i);
${loadRow(form, 'x', 'qkv', 'q_at', ' * params.scale')}
${loadRow(form, 'g', 'dy', 'y_at')}
${startScores(form)}
${lines(keys.length, (c) => `      var t${c} = 0.0;`)}
${apart(0, products(form, { row: 'x', panel: 'keys', to: 's' }))}
${apart(1, products(form, { row: 'g', panel: 'values', to: 't' }))}
      let known = lse[(window * params.heads + head) * AREA + i];
${lines(keys.length, (c) => `      s${c} = exp(s${c} - known);`)}
${maskTail(form, '0.0')}
      let inner = sum_of(${keys.map((c) => `s${c} * t${c}`).join(' + ')});
${lines(keys.length, (c) => `      t${c} = s${c} * (t${c} - inner);`)}
      let part_at = ((run * params.heads + head) * AREA + i) * AREA + lane;
      let row_of_t = array(${keys.map((c) => `t${c}`).join(', ')});
      for (var c = 0u; c < KEYS + zero; c++) {
        if (lane + c * LANES < AREA) {
          let at = part_at + c * LANES;
          part[at] = select(part[at], 0.0, window == first) + row_of_t[c];
        }
      }
${zeroRow(form, 'dq')}
${mix(form, ['t', 's'], (j, q) => {
  const at = j * quads + q;
  return `dq${q} += t * k_rows[${at}]; dk[${at}] += t * x${q}; dv[${at}] += s * g${q};`;
})}
${storeRow(form, 'dqkv', 'q_at', (q) => `dq${q} * params.scale`)}
    }
    for (var j = 0u; j < AREA + zero; j++) {
      let token = token_of(win, j);
${lines(quads, (q) => `      dqkv[k_at(token, head) + ${q}u * LANES + lane] = dk[j * ${quads}u + ${q}u];`)}
${lines(quads, (q) => `      dqkv[v_at(token, head) + ${q}u * LANES + lane] = dv[j * ${quads}u + ${q}u];`)}
    }`);
}

const keysOf = ({ lanes, side }: AttentionPanel): number => Math.ceil(side * side / lanes);
const quadsOf = ({ lanes, headDim }: AttentionPanel): number => headDim / 4 / lanes;

// an entry point that does `body` for each window of its run, by panels of so many vec4 each: declared
// outside of the loop, as Dawn clears what is declared in one only once
function walk(
  form: AttentionPanel, name: string, panels: Readonly<Record<string, number>>, body: string,
): string {
  return `
@compute @workgroup_size(LANES)
fn ${name}(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(subgroup_invocation_id) lane: u32) {
  let zero = params.zero;
  let group = wg.y * grid.x + wg.x;
  let head = group % params.heads;
  let run = group / params.heads;
  let first = run * params.run;
  let end = min(first + params.run, params.windows);
${lines(keysOf(form), (c) => `  let bias${c} = (CENTRE - along(key_of(lane, ${c}u))) * params.heads + head;`)}
${Object.entries(panels).map(([panel, length]) => `  var ${panel}: array<vec4f, ${length}>;`).join('\n')}
  for (var window = first; window < end; window++) {
    let win = window_at(window);
${lines(keysOf(form), (c) => `    let region${c} = region_of(win, key_of(lane, ${c}u));`)}
${body}
  }
}
`;
}

// panel[d · KEYS + c]: four channels of the lane's c-th key
function fillKeys(panel: string, at: string): string {
  return `    for (var c = 0u; c < KEYS + zero; c++) {
      let start = ${at}(token_of(win, key_of(lane, c)), head);
      for (var d = 0u; d < QUADS + zero; d++) { ${panel}[d * KEYS + c] = qkv[start + d]; }
    }`;
}

// panel[token · quads + q]: the lane's channels of every token
function fillRows(form: AttentionPanel, panel: string, at: string): string {
  return `    for (var j = 0u; j < AREA + zero; j++) {
      let start = ${at}(token_of(win, j), head) + lane;
${lines(quadsOf(form), (q) => `      ${panel}[j * ${quadsOf(form)}u + ${q}u] = qkv[start + ${q}u * LANES];`)}
    }`;
}

function loadRow(form: AttentionPanel, name: string, from: string, at: string, scale = ''): string {
  return lines(quadsOf(form), (q) =>
    `      let ${name}${q} = ${from}[${at}(token, head) + ${q}u * LANES + lane]${scale};`);
}

function zeroRow(form: AttentionPanel, name: string): string {
  return lines(quadsOf(form), (q) => `      var ${name}${q} = vec4f();`);
}

function storeRow(form: AttentionPanel, to: string, at: string, value: (q: number) => string): string {
  return lines(quadsOf(form), (q) => `      ${to}[${at}(token, head) + ${q}u * LANES + lane] = ${value(q)};`);
}

function startScores(form: AttentionPanel): string {
  return `      let row = along(i) * params.heads;
${lines(keysOf(form), (c) => `      var s${c} = table[row + bias${c}];`)}
      if (params.shift != 0u) {
        let own = region_of(win, i);
${lines(keysOf(form), (c) => `        s${c} += select(-100.0, 0.0, own == region${c});`)}
      }`;
}

// the last of a lane's keys may lie past the window
function maskTail(form: AttentionPanel, value: string): string {
  const last = keysOf(form) - 1;
  const inside = form.side ** 2 - last * form.lanes;
  return inside === form.lanes ? '' : `      s${last} = select(${value}, s${last}, lane < ${inside}u);`;
}

type Product = { readonly row: string; readonly panel: string; readonly to: string };

// to_c += Σ_d row_d · panel[d, c]
function products(form: AttentionPanel, { row, panel, to }: Product): string {
  const keys = keysOf(form);
  return lines(form.headDim, (d) => {
    const [quad, e] = [Math.floor(d / 4), d % 4];
    const held = `subgroupBroadcast(${row}${Math.floor(quad / form.lanes)}[${e}], ${quad % form.lanes}u)`;
    const sums = range(keys).map((c) => `${to}${c} += a * ${panel}[${quad * keys + c}][${e}];`).join(' ');
    return `      { let a = ${held}; ${sums} }`;
  });
}

// does `each` for every key j and the lane's q-th four channels, with the key's weights known to all lanes
function mix(form: AttentionPanel, weights: string[], each: (j: number, q: number) => string): string {
  return lines(form.side ** 2, (j) => {
    const [c, lane] = [Math.floor(j / form.lanes), j % form.lanes];
    const held = weights.map((w) => `let ${w} = subgroupBroadcast(${w}${c}, ${lane}u);`);
    return `      { ${held.join(' ')} ${range(quadsOf(form)).map((q) => each(j, q)).join(' ')} }`;
  });
}
