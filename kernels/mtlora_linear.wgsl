// mtlora_linear: the adapted linear layer, base product and all low-rank updates in one pass over a tile.
//
//   forward      base = x Wᵀ + b        y[g] = base + Σ_{j in branch g} p[·, j] · bt[j, ·]
//                (+ branch 0's sum for g > 0 where tasks include the shared update)
//   sum_streams  total = Σ_g dy[g]      vec4 by vec4; sum_streams_single where M·N is no multiple of 4
//
// shapes    x [M, K] (the shared stream) · w [N, K] · bias [N] · p [M, R] = scale · input Aᵀ, branches side
//           by side · bt [R, N] · offsets [G + 1] first column of each branch, then R · y [G, M, N], stream 0
//           is the shared one
// dispatch  forward: a thread per TILE × TILE outputs of all streams · sum_streams: items of vec4 or values
// tuning    WG = threads in a workgroup; TILE = rows and columns of a thread
// numerics  f32; base is added last to each branch's sum
// uses      lib/index lib/walk
const WG = 64u;                 // tune: 8 32 64 128
const TILE = 8u;                // tune: 2 4 8

struct Params {
  m: u32, n: u32, k: u32, streams: u32, rank: u32, has_bias: u32, include_shared: u32, walk: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> p: array<f32>;
@group(0) @binding(5) var<storage, read> bt: array<f32>;
@group(0) @binding(6) var<storage, read> offsets: array<u32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;
@group(0) @binding(8) var<storage, read> dy: array<vec4f>;
@group(0) @binding(9) var<storage, read_write> total: array<vec4f>;
@group(0) @binding(10) var<storage, read> dy_single: array<f32>;
@group(0) @binding(11) var<storage, read_write> total_single: array<f32>;

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let tiles_n = (params.n + TILE - 1u) / TILE;
  let item = flat_group(wg, grid) * WG + lane;
  let m0 = item / tiles_n * TILE;
  let n0 = item % tiles_n * TILE;
  if (m0 >= params.m) { return; }
  var base: array<f32, TILE * TILE>;
  for (var k = 0u; k < params.k; k++) {
    var right: array<f32, TILE>;
    for (var j = 0u; j < TILE; j++) { right[j] = w[min(n0 + j, params.n - 1u) * params.k + k]; }
    for (var i = 0u; i < TILE; i++) {
      let left = x[min(m0 + i, params.m - 1u) * params.k + k];
      for (var j = 0u; j < TILE; j++) { base[i * TILE + j] += left * right[j]; }
    }
  }
  if (params.has_bias == 1u) {
    for (var i = 0u; i < TILE * TILE; i++) { base[i] += bias[min(n0 + i % TILE, params.n - 1u)]; }
  }
  for (var g = 0u; g < params.streams; g++) {
    let update = branch(g, m0, n0);
    for (var i = 0u; i < TILE * TILE; i++) {
      let row = m0 + i / TILE;
      let column = n0 + i % TILE;
      let value = base[i] + update[i];
      if (row < params.m && column < params.n) { y[(g * params.m + row) * params.n + column] = value; }
      if (g == 0u && params.include_shared == 1u) { base[i] = value; }
    }
  }
}

// a tile of a branch's update: rows from m0 on, columns from n0 on
fn branch(g: u32, m0: u32, n0: u32) -> array<f32, TILE * TILE> {
  var sums: array<f32, TILE * TILE>;
  for (var r = offsets[g]; r < offsets[g + 1u]; r++) {
    var right: array<f32, TILE>;
    for (var j = 0u; j < TILE; j++) { right[j] = bt[r * params.n + min(n0 + j, params.n - 1u)]; }
    for (var i = 0u; i < TILE; i++) {
      let left = p[min(m0 + i, params.m - 1u) * params.rank + r];
      for (var j = 0u; j < TILE; j++) { sums[i * TILE + j] += left * right[j]; }
    }
  }
  return sums;
}

@compute @workgroup_size(WG)
fn sum_streams(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
               @builtin(local_invocation_index) lane: u32) {
  let quads = params.m * params.n / 4u;
  let own = walk(wg, grid, lane, quads);
  for (var i = own.first; i < own.end; i += WG) {
    var sum = dy[i];
    for (var g = 1u; g < params.streams; g++) { sum += dy[g * quads + i]; }
    total[i] = sum;
  }
}

@compute @workgroup_size(WG)
fn sum_streams_single(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
                      @builtin(local_invocation_index) lane: u32) {
  let count = params.m * params.n;
  let own = walk(wg, grid, lane, count);
  for (var i = own.first; i < own.end; i += WG) {
    var sum = dy_single[i];
    for (var g = 1u; g < params.streams; g++) { sum += dy_single[g * count + i]; }
    total_single[i] = sum;
  }
}
