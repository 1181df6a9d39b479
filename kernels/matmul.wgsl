// matmul: the plain form, for any strides. One definition serves every transpose and every batch.
//
//   forward   y[g,m,n] = scale · Σ_k a[g,m,k] · b[g,k,n]  (+ bias[g,n])  (+ y[g,m,n] where accumulate)
//             mask_on: 1 drops elements of a, 2 of b, 3 of the product whose bit in mask is 0 (one batch)
//
// shapes    a, b, y by element strides: a(g,m,k) at a_at + g·a_batch + m·a_row + k·a_col, b(g,k,n) at
//           b_at + g·b_batch + k·b_row + n·b_col, y(g,m,n) at y_at + g·y_batch + m·y_row + n
// dispatch  a thread per tile of TILE_M × TILE_N outputs
// tuning    WG = threads in a workgroup; TILE_M, TILE_N = outputs of a thread
// numerics  f32, k in ascending order
// uses      lib/index
const WG = 64u;                 // tune: 8 32 64 128
const TILE_M = 8u;              // tune: 1 2 4 8
const TILE_N = 8u;              // tune: 1 2 4 8

struct Params {
  m: u32, n: u32, k: u32, batch: u32, a_at: u32, a_batch: u32, a_row: u32, a_col: u32, b_at: u32,
  b_batch: u32, b_row: u32, b_col: u32, y_at: u32, y_batch: u32, y_row: u32, bias_batch: u32,
  scale: f32, accumulate: u32, has_bias: u32, mask_on: u32, mask_row: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> mask: array<u32>;

// 1 where the mask keeps element `at`, else 0
fn kept(at: u32) -> f32 { return f32((mask[at >> 5u] >> (at & 31u)) & 1u); }

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let tiles_n = (params.n + TILE_N - 1u) / TILE_N;
  let tiles_m = (params.m + TILE_M - 1u) / TILE_M;
  let item = flat_group(wg, grid) * WG + lane;
  let g = item / (tiles_m * tiles_n);
  if (g >= params.batch) { return; }
  let tile = item % (tiles_m * tiles_n);
  let m0 = tile / tiles_n * TILE_M;
  let n0 = tile % tiles_n * TILE_N;

  // rows and columns past the end repeat the last one: they are computed and not stored
  var a_at: array<u32, TILE_M>;
  var b_at: array<u32, TILE_N>;
  let a_at0 = params.a_at + g * params.a_batch;
  let b_at0 = params.b_at + g * params.b_batch;
  for (var i = 0u; i < TILE_M; i++) { a_at[i] = a_at0 + min(m0 + i, params.m - 1u) * params.a_row; }
  for (var j = 0u; j < TILE_N; j++) { b_at[j] = b_at0 + min(n0 + j, params.n - 1u) * params.b_col; }
  var sum: array<f32, TILE_M * TILE_N>;
  for (var k = 0u; k < params.k; k++) {
    var right: array<f32, TILE_N>;
    for (var j = 0u; j < TILE_N; j++) {
      right[j] = b[b_at[j] + k * params.b_row];
      if (params.mask_on == 2u) { right[j] *= kept(k * params.mask_row + min(n0 + j, params.n - 1u)); }
    }
    for (var i = 0u; i < TILE_M; i++) {
      var left = a[a_at[i] + k * params.a_col];
      if (params.mask_on == 1u) { left *= kept(min(m0 + i, params.m - 1u) * params.mask_row + k); }
      for (var j = 0u; j < TILE_N; j++) { sum[i * TILE_N + j] += left * right[j]; }
    }
  }
  for (var i = 0u; i < min(TILE_M, params.m - m0); i++) {
    for (var j = 0u; j < min(TILE_N, params.n - n0); j++) {
      let at = params.y_at + g * params.y_batch + (m0 + i) * params.y_row + n0 + j;
      var value = params.scale * sum[i * TILE_N + j];
      if (params.mask_on == 3u) { value *= kept((m0 + i) * params.mask_row + n0 + j); }
      if (params.has_bias == 1u) { value += bias[g * params.bias_batch + n0 + j]; }
      if (params.accumulate == 1u) { value += y[at]; }
      y[at] = value;
    }
  }
}
