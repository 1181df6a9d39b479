// layernorm_tile: layernorm for GPUs. LANES threads hold a row in registers, a workgroup takes several rows
// at once and walks a run of them. See layernorm for the maths.
//
//   forward    y, stats                    as layernorm/forward
//   backward   dx, part_w, part_b          as layernorm/backward_x and layernorm/partial_affine in one
//
// shapes    as in layernorm, in items of four channels
// dispatch  a workgroup per run of rows, a multiple of WG / LANES but for the last
// tuning    WG = threads in a workgroup · LANES = threads a row, a power of two · HELD = items a thread
//           UNROLL = 0 on software devices, which else compile for long
// numerics  as layernorm; sums over the lanes eight by eight
// uses      lib/index
const WG = 128u;                // tune: 128 256
const LANES = 8u;               // tune: 1 2 4 8 16 32 64 128 256
const HELD = 3u;                // tune: 1 2 3 4
const UNROLL = 1u;              // tune: 0 1

struct Params { rows: u32, channels: u32, items: u32, eps: f32, run: u32, runs: u32, zero: u32 }
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
const ABREAST = WG / LANES;                            // rows
var<workgroup> shared_sums: array<vec2f, 2u * WG>;
var<workgroup> shared_items: array<vec4f, 2u * WG>;
var<private> turn: u32;                                // sums take turns in two halves: one barrier each

// the end of a loop over registers: a constant wherever the driver's unrolling is wanted
fn until(count: u32) -> u32 { return count + select(params.zero, 0u, UNROLL == 1u); }
fn channels_of(v: vec4f) -> f32 { return dot(v, vec4f(1.0)); }

// over the lanes of a row, to each of them
fn total(value: vec2f, lane: u32) -> vec2f {
  var sum = value;
  for (var stride = 1u; stride < LANES; stride *= 8u) {
    let radix = min(8u, LANES / stride);
    let first = turn * WG + lane / (stride * radix) * (stride * radix) + lane % stride;
    shared_sums[turn * WG + lane] = sum;
    workgroupBarrier();
    sum = vec2f();
    for (var j = 0u; j < radix; j++) { sum += shared_sums[first + j * stride]; }
    turn = 1u - turn;
  }
  return sum;
}

// a lane's row in this step of the walk and its first item there; the others follow LANES apart
struct Place { row: u32, first: u32, live: bool }

fn place_of(group: u32, step: u32, lane: u32) -> Place {
  let row = group * params.run + step + lane / LANES;
  return Place(row, row * params.items + lane % LANES, row < params.rows);
}
fn has_item(lane: u32, h: u32) -> bool { return h * LANES + lane % LANES < params.items; }

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let group = flat_group(wg, grid);
  let count = f32(params.channels);
  var scale = Row();
  var shift = Row();
  for (var h = 0u; h < until(HELD); h++) {
    if (has_item(lane, h)) {
      scale[h] = w[h * LANES + lane % LANES];
      shift[h] = b[h * LANES + lane % LANES];
    }
  }
  for (var step = 0u; step < params.run; step += ABREAST) {
    let at = place_of(group, step, lane);
    var held = Row();
    var sum = vec4f();
    for (var h = 0u; h < until(HELD); h++) {
      if (at.live && has_item(lane, h)) { held[h] = x[at.first + h * LANES]; }
      sum += held[h];
    }
    let mean = total(vec2f(channels_of(sum), 0.0), lane).x / count;
    var squares = vec4f();
    for (var h = 0u; h < until(HELD); h++) {
      held[h] -= mean;
      if (has_item(lane, h)) { squares += held[h] * held[h]; }
    }
    let r = inverseSqrt(total(vec2f(channels_of(squares), 0.0), lane).x / count + params.eps);
    for (var h = 0u; h < until(HELD); h++) {
      if (at.live && has_item(lane, h)) { y[at.first + h * LANES] = held[h] * r * scale[h] + shift[h]; }
    }
    if (at.live && lane % LANES == 0u) { stats[at.row] = vec2f(mean, r); }
  }
}

@compute @workgroup_size(WG)
fn backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let group = flat_group(wg, grid);
  let count = f32(params.channels);
  var scale = Row();
  var sum_w = Row();
  var sum_b = Row();
  for (var h = 0u; h < until(HELD); h++) { scale[h] = w[min(h * LANES + lane % LANES, params.items - 1u)]; }
  for (var step = 0u; step < params.run; step += ABREAST) {
    let at = place_of(group, step, lane);
    let known = stats[min(at.row, params.rows - 1u)];
    var n = Row();
    var g = Row();
    var sum_g = vec4f();
    var sum_gn = vec4f();
    for (var h = 0u; h < until(HELD); h++) {
      if (at.live && has_item(lane, h)) {
        let d = dy[at.first + h * LANES];
        n[h] = (x[at.first + h * LANES] - known.x) * known.y;
        g[h] = d * scale[h];
        sum_w[h] += d * n[h];
        sum_b[h] += d;
      }
      sum_g += g[h];
      sum_gn += g[h] * n[h];
    }
    let mean = total(vec2f(channels_of(sum_g), channels_of(sum_gn)), lane) / count;
    for (var h = 0u; h < until(HELD); h++) {
      let slope = known.y * (g[h] - mean.x - n[h] * mean.y);
      if (at.live && has_item(lane, h)) { dx[at.first + h * LANES] = slope; }
    }
  }
  for (var h = 0u; h < until(HELD); h++) { store_part(group, h, lane, sum_w[h], sum_b[h]); }
}

// sums an item over the rows that the workgroup had abreast
fn store_part(group: u32, h: u32, lane: u32, of_w: vec4f, of_b: vec4f) {
  workgroupBarrier();
  shared_items[lane] = of_w;
  shared_items[WG + lane] = of_b;
  workgroupBarrier();
  if (lane >= LANES || !has_item(lane, h)) { return; }
  var sum_w = vec4f();
  var sum_b = vec4f();
  for (var i = lane; i < WG; i += LANES) {
    sum_w += shared_items[i];
    sum_b += shared_items[WG + i];
  }
  part_w[group * params.items + h * LANES + lane] = sum_w;
  part_b[group * params.items + h * LANES + lane] = sum_b;
}
