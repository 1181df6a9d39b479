// batchnorm: normalises each channel by its mean and variance (batchnorm_stats), then scales and shifts it.
//
//   forward      y = n·w + b       n = (x − μ)·r    r = 1/√(σ² + eps)       y = max(y, 0) where `relu`
//   part_sums    of each run of rows, Σ g·n and Σ g       g = dy, 0 where relu cut y off
//   merge_sums   dw = Σ g·n        db = Σ g
//   backward_x   dx = w·r·(g − db/N − n·dw/N) where μ and σ² are those of x (`training`), else w·r·g
//
// shapes    x, y, dy, dx [T, rows, C] · w, b, dw, db [T, C] · stats [2, T, C] μ, σ² · parts [2, T, runs, C]
// dispatch  merge_sums: a thread per group and item · the others: a thread per run and item of its channels
// tuning    WG = threads in a workgroup; Item = channels that a thread takes
// uses      lib/index lib/row_run
const WG = 64u;                 // tune: 8 32 64 128
alias Item = vec4f;             // tune: vec4f f32

struct Params {
  groups: u32, rows: u32, channels: u32, run: u32, runs: u32, eps: f32, relu: u32, training: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Item>;
@group(0) @binding(2) var<storage, read> w: array<Item>;
@group(0) @binding(3) var<storage, read> b: array<Item>;
@group(0) @binding(4) var<storage, read> stats: array<Item>;
@group(0) @binding(5) var<storage, read_write> y: array<Item>;
@group(0) @binding(6) var<storage, read> dy: array<Item>;
@group(0) @binding(7) var<storage, read_write> dx: array<Item>;
@group(0) @binding(8) var<storage, read_write> parts: array<Item>;
@group(0) @binding(9) var<storage, read_write> dw: array<Item>;
@group(0) @binding(10) var<storage, read_write> db: array<Item>;

fn inverse_deviation(item: u32) -> Item { return 1.0 / sqrt(stats[items() + item] + params.eps); }

// `value` where relu lets `y` through, and always where there is no relu; NaN stays NaN
fn gated(value: Item, y_before: Item) -> Item {
  if (params.relu == 0u) { return value; }
  return select(value, Item(0.0), y_before <= Item(0.0));
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let run = run_of(wg, grid, lane);
  if (!run.live) { return; }
  let mean = stats[run.item];
  let r = inverse_deviation(run.item);
  let scale = w[run.item];
  let shift = b[run.item];
  for (var i = run.first; i < run.end; i += params.channels) {
    let value = (x[i] - mean) * r * scale + shift;
    y[i] = gated(value, value);
  }
}

@compute @workgroup_size(WG)
fn part_sums(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
             @builtin(local_invocation_index) lane: u32) {
  let run = run_of(wg, grid, lane);
  if (!run.live) { return; }
  let mean = stats[run.item];
  let r = inverse_deviation(run.item);
  let scale = w[run.item];
  let shift = b[run.item];
  var sum_gn = Item(0.0);
  var sum_g = Item(0.0);
  for (var i = run.first; i < run.end; i += params.channels) {
    let n = (x[i] - mean) * r;
    let g = gated(dy[i], n * scale + shift);
    sum_gn += g * n;
    sum_g += g;
  }
  parts[run.at] = sum_gn;
  parts[items() * params.runs + run.at] = sum_g;
}

@compute @workgroup_size(WG)
fn merge_sums(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
              @builtin(local_invocation_index) lane: u32) {
  let item = flat_group(wg, grid) * WG + lane;
  if (item >= items()) { return; }
  var sum_gn = Item(0.0);
  var sum_g = Item(0.0);
  for (var run = 0u; run < params.runs; run++) {
    sum_gn += parts[part_at(item, run)];
    sum_g += parts[items() * params.runs + part_at(item, run)];
  }
  dw[item] = sum_gn;
  db[item] = sum_g;
}

@compute @workgroup_size(WG)
fn backward_x(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
              @builtin(local_invocation_index) lane: u32) {
  let run = run_of(wg, grid, lane);
  if (!run.live) { return; }
  let mean = stats[run.item];
  let r = inverse_deviation(run.item);
  let scale = w[run.item];
  let shift = b[run.item];
  var mean_gn = Item(0.0);
  var mean_g = Item(0.0);
  if (params.training == 1u) {
    mean_gn = dw[run.item] / f32(params.rows);
    mean_g = db[run.item] / f32(params.rows);
  }
  for (var i = run.first; i < run.end; i += params.channels) {
    let n = (x[i] - mean) * r;
    let g = gated(dy[i], n * scale + shift);
    dx[i] = scale * r * (g - mean_g - n * mean_gn);
  }
}
