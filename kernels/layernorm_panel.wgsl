// layernorm_panel: layernorm by workgroups of one subgroup each, which walk a run of rows and hold a row in
// registers. For SIMD-on-CPU drivers: they like few workgroups, long loops and no workgroup memory.
// See layernorm for the maths.
//
//   forward    y, stats                    as layernorm/forward
//   backward   dx, part_w, part_b          as layernorm/backward_x and layernorm/partial_affine in one
//
// shapes    as in layernorm, in items of four channels; C is a multiple of 4 · LANES
// dispatch  a workgroup per run of rows
// tuning    LANES = the subgroup size · HELD, WIDE see lib/norm_rows: the op sets them by C
// numerics  as layernorm; sums over the lanes by a tree of shuffles
// uses      lib/index lib/norm_rows lib/norm_wide
enable subgroups;
const LANES = 8u;               // tune: 8
const HELD = 3u;                // tune: 1 2 3 4 5 6
const WIDE = 0u;                // tune: 0 1

struct Params { rows: u32, channels: u32, items: u32, eps: f32, run: u32, runs: u32 }
@group(0) @binding(0) var<uniform> params: Params;

// rows lie one after the other
struct Place { base: u32 }
fn place_of(row: u32) -> Place { return Place(row * params.items); }
fn source(base: u32, i: u32) -> u32 { return base + i; }

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(subgroup_invocation_id) lane: u32) {
  let run = flat_group(wg, grid);
  var affine = affine_of(lane);
  for (var row = run * params.run; row < end_of(run); row++) {
    let start = row * params.items;
    var held = Items();
    var values = vec4f();
    for (var c = 0u; c < chunks(); c++) {
      for (var h = 0u; h < HELD; h++) {
        let i = item(c, h, lane);
        held[h] = x[start + i];
        values += held[h];
      }
    }
    let mean = total(values) / f32(params.channels);
    var squares = vec4f();
    for (var c = 0u; c < chunks(); c++) {
      for (var h = 0u; h < HELD; h++) {
        if (WIDE == 1u) { held[h] = x[start + item(c, h, lane)]; }
        held[h] -= mean;
        squares += held[h] * held[h];
      }
    }
    let r = inverseSqrt(total(squares) / f32(params.channels) + params.eps);
    for (var c = 0u; c < chunks(); c++) {
      for (var h = 0u; h < HELD; h++) {
        let i = item(c, h, lane);
        if (WIDE == 1u) {
          held[h] = x[start + i] - mean;
          affine.w[h] = w[i];
          affine.b[h] = b[i];
        }
        y[start + i] = held[h] * r * affine.w[h] + affine.b[h];
      }
    }
    if (lane == 0u) { stats[row] = vec2f(mean, r); }
  }
}

@compute @workgroup_size(LANES)
fn backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(subgroup_invocation_id) lane: u32) {
  norm_backward(flat_group(wg, grid), lane);
}

fn shift_of(i: u32) -> vec4f { return vec4f(); }
fn put(place: Place, i: u32, gradient: vec4f, norm: vec4f) { dx[place.base + i] = gradient; }
