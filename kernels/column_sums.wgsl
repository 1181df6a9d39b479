// column_sums: sums over the middle axis by runs of consecutive rows: two passes sum in a fixed order.
//
//   forward   y[g, run, c] = Σ_{row in run} x[g, row, c]
//
// shapes    x [groups, rows, columns] · y [groups, runs, columns], columns in items
// dispatch  a thread per item of y
// tuning    WG = threads in a workgroup; Item = columns that a thread takes
// uses      lib/index
const WG = 64u;                 // tune: 8 32 64 128
alias Item = vec4f;             // tune: vec4f f32

struct Params { groups: u32, rows: u32, columns: u32, runs: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Item>;
@group(0) @binding(2) var<storage, read_write> y: array<Item>;

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let item = flat_group(wg, grid) * WG + lane;
  if (item >= params.groups * params.runs * params.columns) { return; }
  let c = item % params.columns;
  let run = item / params.columns % params.runs;
  let g = item / (params.columns * params.runs);
  let each = (params.rows + params.runs - 1u) / params.runs;
  let last = min(params.rows, (run + 1u) * each);
  var sum = Item(0.0);
  for (var row = run * each; row < last; row++) { sum += x[(g * params.rows + row) * params.columns + c]; }
  y[item] = sum;
}
