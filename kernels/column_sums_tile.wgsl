// column_sums_tile: column_sums for GPUs: a workgroup has a run of rows and LINE items abreast, which fill a
// line of memory; its threads walk the run side by side.
//
//   forward   y[g, run, c] = Σ_{row in run} x[g, row, c]
//
// shapes    x [groups, rows, columns] · y [groups, runs, columns], columns in items
// dispatch  a workgroup per group, run and LINE items
// tuning    WG = threads in a workgroup · Item, LINE: by the number of columns
// numerics  a thread's rows are in their order, then threads in theirs
// uses      lib/index
const WG = 256u;                // tune: 64 128 256
const LINE = 8u;                // tune: 8 32
alias Item = vec4f;             // tune: vec4f f32
const ABREAST = WG / LINE;      // rows

struct Params { groups: u32, rows: u32, columns: u32, runs: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Item>;
@group(0) @binding(2) var<storage, read_write> y: array<Item>;

var<workgroup> sums: array<Item, WG>;

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let group = flat_group(wg, grid);
  let lines = (params.columns + LINE - 1u) / LINE;
  let c = group % lines * LINE + lane % LINE;
  let run = group / lines % params.runs;
  let g = group / (lines * params.runs);
  let each = (params.rows + params.runs - 1u) / params.runs;
  let end = min(params.rows, (run + 1u) * each);
  let inside = g < params.groups && c < params.columns;

  var sum = Item();
  if (inside) {
    for (var row = run * each + lane / LINE; row < end; row += ABREAST) {
      sum += x[(g * params.rows + row) * params.columns + c];
    }
  }
  sums[lane] = sum;
  workgroupBarrier();
  if (lane >= LINE || !inside) { return; }
  for (var i = lane + LINE; i < WG; i += LINE) { sum += sums[i]; }
  y[(g * params.runs + run) * params.columns + c] = sum;
}
