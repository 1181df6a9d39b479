// stream_sums_panel: writes the WGSL of what an adapted layer's backward begins with for SIMD-on-CPU drivers,
// where a workgroup is one subgroup: both read each stream of dy, and loads are what takes long there.
//
//   total [m, n] = Σ_g dy[g]            dp[r, t·RANK + j] = scale · Σ_c dy[t+1, r, c] · bt[t·RANK + j, c]
//
// dy [1 + TASKS, m, n], the shared stream first; dp and bt begin with the first task's branch, all of them of
// RANK. Lanes span columns, and add up at the end of a row; rows of bt lie in a panel, DEPTH columns of it.
// `kernels/mtlora_linear.wgsl` and `kernels/matmul.wgsl` are the plain forms that this agrees with.
import { apart, lines, overLanes, range } from './unroll.ts';

export type StreamSums = {
  /** Lanes of a subgroup; at least TASKS · RANK / 4. */
  readonly lanes: number;
  readonly tasks: number;
  /** A multiple of 4. */
  readonly rank: number;
};

// vec4 of a lane in a panel's depth: the loop of more is longer than what a core's code cache holds
const QUADS = 2;

export const streamSumsKey = ({ lanes, tasks, rank }: StreamSums): string =>
  `stream_sums_panel(${lanes} ${tasks} ${rank})`;

export function streamSumsPanel({ lanes, tasks, rank }: StreamSums): string {
  const ranks = tasks * rank;
  const tops = ranks / 4;
  const place = (q: number, stream: number): string => `dy[${stream}u * stream + place${q}]`;
  return `enable subgroups;
struct Params {
  m: u32, n: u32, dp_at: u32, dp_row: u32, bt_at: u32, scale: f32, rows: u32, zero: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read> bt: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> total: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dp: array<vec4f>;
${overLanes(lanes, 'sum_of', 'vec4f', (a, b) => `${a} + ${b}`)}
@compute @workgroup_size(${lanes})
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(subgroup_invocation_id) lane: u32) {
  let zero = params.zero;
  let r0 = (wg.y * grid.x + wg.x) * params.rows;
  let r1 = min(params.m, r0 + params.rows);
  let stream = params.m * params.n / 4u;
  var panel: array<vec4f, ${QUADS * ranks}>;
  for (var c0 = 0u; c0 < params.n; c0 += ${4 * lanes * QUADS}u) {
    for (var i = 0u; i < ${QUADS * ranks}u + zero; i++) {
      let c = c0 + i / ${ranks}u * ${4 * lanes}u + lane * 4u;
      panel[i] = select(vec4f(), bt[(params.bt_at + i % ${ranks}u * params.n + c) >> 2u], c < params.n);
    }
    for (var r = r0; r < r1; r++) {
${lines(QUADS, (q) => `      let column${q} = c0 + ${4 * lanes * q}u + lane * 4u;
      let place${q} = (r * params.n + min(column${q}, params.n - 4u)) >> 2u;
      var total${q} = ${place(q, 0)};`)}
${lines(ranks, (j) => `      var s${j} = 0.0;`)}
${lines(tasks, (t) => `      {
${lines(QUADS, (q) => `        let x${q} = ${place(q, t + 1)};
        total${q} += x${q};`)}
${apart(t, lines(rank, (j) => dot(`s${t * rank + j}`, (q) => q * ranks + t * rank + j)))}
      }`)}
${lines(QUADS, (q) => `      if (column${q} < params.n) { total[place${q}] = total${q}; }`)}
      var own = vec4f();
${lines(tops, (i) => {
    const four = range(4).map((e) => `s${4 * i + e}`).join(', ');
    return `      { let sum = sum_of(vec4f(${four})); own = select(own, sum, lane == ${i}u); }`;
  })}
      if (lane < ${tops}u) {
        let at = ((params.dp_at + r * params.dp_row) >> 2u) + lane;
        own *= params.scale;
        if (c0 > 0u) { own += dp[at]; }
        dp[at] = own;
      }
    }
  }
}
`;
}

// what a lane's columns add to a sum
function dot(sum: string, place: (q: number) => number): string {
  const terms = range(QUADS).map((q) => `x${q} * panel[${place(q)}]`).join(' + ');
  return `      { let t = ${terms}; ${sum} = (t.x + t.y) + (t.z + t.w); }`;
}
