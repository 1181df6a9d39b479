// merge_norm: patch merging and the layernorm of what it gives, in one pass each way, as layernorm_panel does
// it. Rows are gathered and scattered as they are read and written. See merge_patches and layernorm.
//
//   forward    y, stats                    layernorm of merged x
//   backward   dx, in the places of x      part_w, part_b; again = y, for those who want it once more
//
// shapes    x, dx [B, 2·down, 2·across, C] · y, dy, again [B, down, across, 4·C], a row a merged token
//           in items of four channels, quarter of them a pixel; 4·C is a multiple of 4 · LANES
// dispatch  a workgroup per run of rows
// tuning    LANES = the subgroup size · HELD, WIDE see lib/norm_rows: the op sets them by C
// numerics  as layernorm; sums over the lanes by a tree of shuffles
// uses      lib/index lib/norm_rows lib/norm_wide
enable subgroups;
const LANES = 8u;               // tune: 8
const HELD = 3u;                // tune: 1 2 3 4 5 6
const WIDE = 0u;                // tune: 0 1

struct Params {
  rows: u32, channels: u32, items: u32, eps: f32, run: u32, runs: u32, across: u32, quarter: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(10) var<storage, read_write> again: array<vec4f>;

// of four neighbours the first: its place in x · where the row begins
struct Place { base: u32, start: u32 }
fn place_of(row: u32) -> Place {
  let line = row / params.across;
  let base = (2u * line * params.across + row - line * params.across) * 2u * params.quarter;
  return Place(base, row * params.items);
}

// quarters are (row, column) 00, 10, 01, 11; comparisons, as drivers on a CPU divide slowly
fn source(base: u32, i: u32) -> u32 {
  let right = i >= 2u * params.quarter;
  let half = select(i, i - 2u * params.quarter, right);
  let below = half >= params.quarter;
  let c = select(half, half - params.quarter, below);
  let pixel = select(0u, 1u, right) + select(0u, 2u * params.across, below);
  return base + pixel * params.quarter + c;
}

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(subgroup_invocation_id) lane: u32) {
  let run = flat_group(wg, grid);
  var affine = affine_of(lane);
  for (var row = run * params.run; row < end_of(run); row++) {
    let start = row * params.items;
    let base = place_of(row).base;
    var held = Items();
    var values = vec4f();
    for (var c = 0u; c < chunks(); c++) {
      for (var h = 0u; h < HELD; h++) {
        let i = item(c, h, lane);
        held[h] = x[source(base, i)];
        values += held[h];
      }
    }
    let mean = total(values) / f32(params.channels);
    var squares = vec4f();
    for (var c = 0u; c < chunks(); c++) {
      for (var h = 0u; h < HELD; h++) {
        if (WIDE == 1u) { held[h] = x[source(base, item(c, h, lane))]; }
        held[h] -= mean;
        squares += held[h] * held[h];
      }
    }
    let r = inverseSqrt(total(squares) / f32(params.channels) + params.eps);
    for (var c = 0u; c < chunks(); c++) {
      for (var h = 0u; h < HELD; h++) {
        let i = item(c, h, lane);
        if (WIDE == 1u) {
          held[h] = x[source(base, i)] - mean;
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

fn shift_of(i: u32) -> vec4f { return b[i]; }
fn put(place: Place, i: u32, gradient: vec4f, norm: vec4f) {
  dx[source(place.base, i)] = gradient;
  again[place.start + i] = norm;
}
