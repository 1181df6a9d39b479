// layernorm: normalise each row over its channels, then scale and shift.
//
//   forward          y  = n·w + b            n = (x − μ)·r    μ = mean(x)    r = 1/√(var(x) + eps)
//   backward_x       dx = r·(g − mean(g) − n·mean(g·n))       g = dy·w
//   partial_affine   part_w = Σ_run dy·n     part_b = Σ_run dy         a run: `run` rows on end
//   backward_affine  dw = Σ part_w           db = Σ part_b              over the runs, in order
//
// shapes    x, y, dx, dy [N, C] · w, b, dw, db [C] · stats [N] of (μ, r) · part_w, part_b [runs, C];
//           rows lie as `items` of four channels where C is a multiple of 4, else of one
// dispatch  forward, backward_x: a workgroup per row · partial_affine: a thread per run and item
//           backward_affine: a thread per item
// tuning    WG = threads in a workgroup, a power of two · Item: the op chooses it by C
// numerics  f32 throughout; two passes for the variance, so that it never cancels
// uses      lib/index lib/row_sum
const WG = 32u;                 // tune: 8 16 32 64 128 256
alias Item = vec4f;             // tune: vec4f f32

struct Params { rows: u32, channels: u32, items: u32, eps: f32, run: u32, runs: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Item>;
@group(0) @binding(2) var<storage, read> w: array<Item>;
@group(0) @binding(3) var<storage, read> b: array<Item>;
@group(0) @binding(4) var<storage, read_write> y: array<Item>;
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read> dy: array<Item>;
@group(0) @binding(7) var<storage, read_write> dx: array<Item>;
@group(0) @binding(8) var<storage, read_write> part_w: array<Item>;
@group(0) @binding(9) var<storage, read_write> part_b: array<Item>;
@group(0) @binding(10) var<storage, read_write> dw: array<Item>;
@group(0) @binding(11) var<storage, read_write> db: array<Item>;

// the channels of an item, added up
fn total(v: Item) -> f32 {
  let four = vec4f(v);                                       // an f32 is repeated
  return select(four.x, dot(four, vec4f(1.0)), params.items < params.channels);
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let row = flat_group(wg, grid);
  if (row >= params.rows) { return; }
  let start = row * params.items;
  let count = f32(params.channels);

  var sum = Item();
  for (var i = lane; i < params.items; i += WG) { sum += x[start + i]; }
  let mean = row_sum(total(sum), lane) / count;

  var squares = Item();
  for (var i = lane; i < params.items; i += WG) {
    let d = x[start + i] - mean;
    squares += d * d;
  }
  let r = inverseSqrt(row_sum(total(squares), lane) / count + params.eps);

  for (var i = lane; i < params.items; i += WG) { y[start + i] = (x[start + i] - mean) * r * w[i] + b[i]; }
  if (lane == 0u) { stats[row] = vec2f(mean, r); }
}

@compute @workgroup_size(WG)
fn backward_x(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
              @builtin(local_invocation_index) lane: u32) {
  let row = flat_group(wg, grid);
  if (row >= params.rows) { return; }
  let start = row * params.items;
  let count = f32(params.channels);
  let mean = stats[row].x;
  let r = stats[row].y;

  var sum_g = Item();
  var sum_gn = Item();
  for (var i = lane; i < params.items; i += WG) {
    let g = dy[start + i] * w[i];
    sum_g += g;
    sum_gn += g * (x[start + i] - mean) * r;
  }
  let mean_g = row_sum(total(sum_g), lane) / count;
  let mean_gn = row_sum(total(sum_gn), lane) / count;

  for (var i = lane; i < params.items; i += WG) {
    let n = (x[start + i] - mean) * r;
    dx[start + i] = r * (dy[start + i] * w[i] - mean_g - n * mean_gn);
  }
}

@compute @workgroup_size(WG)
fn partial_affine(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
                  @builtin(local_invocation_index) lane: u32) {
  let thread = flat_group(wg, grid) * WG + lane;
  let run = thread / params.items;
  let item = thread % params.items;
  if (run >= params.runs) { return; }

  var sum_w = Item();
  var sum_b = Item();
  let end = min((run + 1u) * params.run, params.rows);
  for (var row = run * params.run; row < end; row++) {
    let g = dy[row * params.items + item];
    sum_w += g * (x[row * params.items + item] - stats[row].x) * stats[row].y;
    sum_b += g;
  }
  part_w[thread] = sum_w;
  part_b[thread] = sum_b;
}

@compute @workgroup_size(WG)
fn backward_affine(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
                   @builtin(local_invocation_index) lane: u32) {
  let item = flat_group(wg, grid) * WG + lane;
  if (item >= params.items) { return; }
  var sum_w = Item();
  var sum_b = Item();
  for (var run = 0u; run < params.runs; run++) {
    sum_w += part_w[run * params.items + item];
    sum_b += part_b[run * params.items + item];
  }
  dw[item] = sum_w;
  db[item] = sum_b;
}
