// layernorm_panel: layernorm by workgroups of one subgroup each, which walk a run of rows and hold a row in
// registers. For SIMD-on-CPU drivers: they like few workgroups, long loops and no workgroup memory.
// See layernorm for the maths.
//
//   forward    y, stats                    as layernorm/forward
//   backward   dx, part_w, part_b          as layernorm/backward_x and layernorm/partial_affine in one
//
// shapes    as in layernorm, in items of four channels; C = 4 · LANES · HELD
// dispatch  a workgroup per run of rows
// tuning    LANES = the subgroup size · HELD = items of a row that a lane holds: the op sets both
// numerics  as layernorm; sums over the lanes by a tree of shuffles
// uses      lib/index
enable subgroups;
const LANES = 8u;               // tune: 8
const HELD = 3u;                // tune: 3

struct Params { rows: u32, channels: u32, items: u32, eps: f32, run: u32, runs: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<vec4f>;
@group(0) @binding(3) var<storage, read> b: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read> dy: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dx: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> part_w: array<vec4f>;
@group(0) @binding(9) var<storage, read_write> part_b: array<vec4f>;

alias Row = array<vec4f, HELD>;

fn total(v: vec4f) -> f32 {
  var sum = v.x + v.y + v.z + v.w;
  for (var step = 1u; step < LANES; step *= 2u) { sum += subgroupShuffleXor(sum, step); }
  return sum;
}

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(subgroup_invocation_id) lane: u32) {
  let run = flat_group(wg, grid);
  let count = f32(params.channels);
  var scale: Row;
  var shift: Row;
  for (var h = 0u; h < HELD; h++) {
    scale[h] = w[h * LANES + lane];
    shift[h] = b[h * LANES + lane];
  }
  let end = min((run + 1u) * params.run, params.rows);
  for (var row = run * params.run; row < end; row++) {
    let start = row * HELD * LANES + lane;
    var held: Row;
    var sum = vec4f();
    for (var h = 0u; h < HELD; h++) {
      held[h] = x[start + h * LANES];
      sum += held[h];
    }
    let mean = total(sum) / count;
    var squares = vec4f();
    for (var h = 0u; h < HELD; h++) {
      held[h] -= mean;
      squares += held[h] * held[h];
    }
    let r = inverseSqrt(total(squares) / count + params.eps);
    for (var h = 0u; h < HELD; h++) { y[start + h * LANES] = held[h] * r * scale[h] + shift[h]; }
    if (lane == 0u) { stats[row] = vec2f(mean, r); }
  }
}

@compute @workgroup_size(LANES)
fn backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(subgroup_invocation_id) lane: u32) {
  let run = flat_group(wg, grid);
  let count = f32(params.channels);
  var scale: Row;
  for (var h = 0u; h < HELD; h++) { scale[h] = w[h * LANES + lane]; }
  var sum_w: Row;
  var sum_b: Row;
  let end = min((run + 1u) * params.run, params.rows);
  for (var row = run * params.run; row < end; row++) {
    let start = row * HELD * LANES + lane;
    let mean = stats[row].x;
    let r = stats[row].y;
    var n: Row;
    var g: Row;
    var sum_g = vec4f();
    var sum_gn = vec4f();
    for (var h = 0u; h < HELD; h++) {
      let d = dy[start + h * LANES];
      n[h] = (x[start + h * LANES] - mean) * r;
      g[h] = d * scale[h];
      sum_w[h] += d * n[h];
      sum_b[h] += d;
      sum_g += g[h];
      sum_gn += g[h] * n[h];
    }
    let mean_g = total(sum_g) / count;
    let mean_gn = total(sum_gn) / count;
    for (var h = 0u; h < HELD; h++) { dx[start + h * LANES] = r * (g[h] - mean_g - n[h] * mean_gn); }
  }
  for (var h = 0u; h < HELD; h++) {
    part_w[(run * HELD + h) * LANES + lane] = sum_w[h];
    part_b[(run * HELD + h) * LANES + lane] = sum_b[h];
  }
}
