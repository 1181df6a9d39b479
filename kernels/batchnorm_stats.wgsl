// batchnorm_stats: what batchnorm normalises by, the mean and variance of each channel over all rows.
//
//   part     of each run of rows, its mean and the squares about it
//   merge    μ = Σ_runs n·μ_run / N      σ² = Σ_runs (squares + n·(μ_run − μ)²) / N
//            running μ ← (1 − m)·running μ + m·μ      running σ² ← (1 − m)·running σ² + m·σ²·N/(N − 1)
//   load     μ, σ² = the running ones
//
// shapes    x [T, rows, C] · running_mean, running_var [T, C] · stats [2, T, C] μ, σ² · parts [2, T, runs, C]
// dispatch  part: a thread per run and item of its channels · the others: a thread per group and item
// tuning    WG = threads in a workgroup; Item = channels that a thread takes
// numerics  the variance never cancels: squares are about a mean, a run's own and then the common one
// uses      lib/index lib/row_run
const WG = 64u;                 // tune: 8 32 64 128
alias Item = vec4f;             // tune: vec4f f32

struct Params { groups: u32, rows: u32, channels: u32, run: u32, runs: u32, momentum: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Item>;
@group(0) @binding(2) var<storage, read_write> parts: array<Item>;
@group(0) @binding(3) var<storage, read_write> stats: array<Item>;
@group(0) @binding(4) var<storage, read_write> running_mean: array<Item>;
@group(0) @binding(5) var<storage, read_write> running_var: array<Item>;

fn rows_of(run: u32) -> f32 { return f32(min(params.run, params.rows - run * params.run)); }

@compute @workgroup_size(WG)
fn part(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let run = run_of(wg, grid, lane);
  if (!run.live) { return; }
  let origin = x[run.first];
  var sum = Item(0.0);
  for (var i = run.first; i < run.end; i += params.channels) { sum += x[i] - origin; }
  let mean = origin + sum / f32((run.end - run.first) / params.channels);
  var squares = Item(0.0);
  for (var i = run.first; i < run.end; i += params.channels) {
    let apart = x[i] - mean;
    squares += apart * apart;
  }
  parts[run.at] = mean;
  parts[items() * params.runs + run.at] = squares;
}

@compute @workgroup_size(WG)
fn merge(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
         @builtin(local_invocation_index) lane: u32) {
  let item = flat_group(wg, grid) * WG + lane;
  if (item >= items()) { return; }
  let origin = parts[part_at(item, 0u)];
  var sum = Item(0.0);
  for (var run = 0u; run < params.runs; run++) { sum += (parts[part_at(item, run)] - origin) * rows_of(run); }
  let mean = origin + sum / f32(params.rows);
  var squares = Item(0.0);
  for (var run = 0u; run < params.runs; run++) {
    let apart = parts[part_at(item, run)] - mean;
    squares += parts[items() * params.runs + part_at(item, run)] + apart * apart * rows_of(run);
  }
  let variance = squares / f32(params.rows);
  stats[item] = mean;
  stats[items() + item] = variance;
  let unbiased = variance * (f32(params.rows) / f32(params.rows - 1u));
  running_mean[item] = (1.0 - params.momentum) * running_mean[item] + params.momentum * mean;
  running_var[item] = (1.0 - params.momentum) * running_var[item] + params.momentum * unbiased;
}

@compute @workgroup_size(WG)
fn load(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let item = flat_group(wg, grid) * WG + lane;
  if (item >= items()) { return; }
  stats[item] = running_mean[item];
  stats[items() + item] = running_var[item];
}
