// residual_norm: a residual and the layernorm of its sum, in one pass each way, as layernorm_panel does it.
// See residual and layernorm for the maths.
//
//   forward           sum = x + mask · branch, of the first residual_rows rows, without x after those
//                     y, stats = those of layernorm of sum
//   backward          dx = skip + layernorm's dx of sum, which is given as x; part_w, part_b;
//                     again = y, for those who want it once more; dbranch = mask · dx, where BRANCH is 1
//
// shapes    as in layernorm, in items of four channels; C is a multiple of 4 · LANES · sum, branch, skip,
//           dbranch as y · forward's x [x_rows, C] · mask [rows / sample_rows]; masked = 0: all are 1
// dispatch  a workgroup per run of rows
// tuning    LANES = the subgroup size · HELD, WIDE see lib/norm_rows: the op sets them by C · BRANCH too
// numerics  as layernorm; sums over the lanes by a tree of shuffles
// uses      lib/index lib/norm_rows lib/norm_wide
enable subgroups;
const LANES = 8u;               // tune: 8
const HELD = 3u;                // tune: 1 2 3 4 5 6
const WIDE = 0u;                // tune: 0 1
const BRANCH = 0u;              // tune: 0 1

struct Params {
  rows: u32, channels: u32, items: u32, eps: f32, run: u32, runs: u32,
  x_rows: u32, residual_rows: u32, sample_rows: u32, masked: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(10) var<storage, read> branch: array<vec4f>;
@group(0) @binding(11) var<storage, read> mask: array<f32>;
@group(0) @binding(12) var<storage, read_write> sum: array<vec4f>;
@group(0) @binding(13) var<storage, read> skip: array<vec4f>;
@group(0) @binding(14) var<storage, read_write> dbranch: array<vec4f>;
@group(0) @binding(15) var<storage, read_write> again: array<vec4f>;

fn factor_of(row: u32) -> f32 {
  if (params.masked == 0u) { return 1.0; }
  return mask[row / params.sample_rows];
}

// rows lie one after the other
struct Place { base: u32, factor: f32 }
fn place_of(row: u32) -> Place {
  var place = Place(row * params.items, 1.0);
  if (BRANCH == 1u) { place.factor = factor_of(row); }
  return place;
}
fn source(base: u32, i: u32) -> u32 { return base + i; }

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(subgroup_invocation_id) lane: u32) {
  let run = flat_group(wg, grid);
  var affine = affine_of(lane);
  for (var row = run * params.run; row < end_of(run); row++) {
    let start = row * params.items;
    let source = row % params.x_rows * params.items;
    let has_x = row < params.residual_rows;
    let factor = factor_of(row);
    var held = Items();
    var values = vec4f();
    for (var c = 0u; c < chunks(); c++) {
      for (var h = 0u; h < HELD; h++) {
        let i = item(c, h, lane);
        held[h] = select(vec4f(), x[source + i], has_x) + factor * branch[start + i];
        sum[start + i] = held[h];
        values += held[h];
      }
    }
    let mean = total(values) / f32(params.channels);
    var squares = vec4f();
    for (var c = 0u; c < chunks(); c++) {
      for (var h = 0u; h < HELD; h++) {
        if (WIDE == 1u) { held[h] = sum[start + item(c, h, lane)]; }
        held[h] -= mean;
        squares += held[h] * held[h];
      }
    }
    let r = inverseSqrt(total(squares) / f32(params.channels) + params.eps);
    for (var c = 0u; c < chunks(); c++) {
      for (var h = 0u; h < HELD; h++) {
        let i = item(c, h, lane);
        if (WIDE == 1u) {
          held[h] = sum[start + i] - mean;
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
  let at = place.base + i;
  let sum = skip[at] + gradient;
  dx[at] = sum;
  again[at] = norm;
  if (BRANCH == 1u) { dbranch[at] = place.factor * sum; }
}
