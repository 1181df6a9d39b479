// softmax: exponentials along each row, made to sum to 1.
//
//   forward    y  = exp(x − max x) / Σ exp(x − max x)
//   backward   dx = y·(dy − Σ y·dy)
//
// shapes    x, y, dy, dx [rows, length]
// dispatch  a workgroup per row
// tuning    WG = threads in a workgroup, a power of two
// uses      lib/index lib/row_sum
const WG = 32u;                 // tune: 8 16 32 64 128 256

struct Params { rows: u32, length: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let row = flat_group(wg, grid);
  if (row >= params.rows) { return; }
  let start = row * params.length;

  var largest = -3.4e38;
  for (var i = lane; i < params.length; i += WG) { largest = max(largest, x[start + i]); }
  largest = row_max(largest, lane);

  var sum = 0.0;
  for (var i = lane; i < params.length; i += WG) { sum += exp(x[start + i] - largest); }
  sum = row_sum(sum, lane);

  for (var i = lane; i < params.length; i += WG) { y[start + i] = exp(x[start + i] - largest) / sum; }
}

@compute @workgroup_size(WG)
fn backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let row = flat_group(wg, grid);
  if (row >= params.rows) { return; }
  let start = row * params.length;

  var sum = 0.0;
  for (var i = lane; i < params.length; i += WG) { sum += y[start + i] * dy[start + i]; }
  sum = row_sum(sum, lane);

  for (var i = lane; i < params.length; i += WG) { dx[start + i] = y[start + i] * (dy[start + i] - sum); }
}
