// matmul_tile: the form for GPUs. A workgroup computes a tile of y (lib/tile_product) of a and b
// (lib/tile_operands).
//
//   forward         y[g,m,n] = scale · Σ_k a[g,m,k] · b[g,k,n]  (+ bias[g,n])  (+ y[g,m,n] where accumulate),
//                   with elements of a, b or the product dropped by mask as in matmul.wgsl
//   forward_quads   the same where rows of y are aligned
//   part            parts[s,g,m,n] = Σ_{k in run s} a[g,m,k] · b[g,k,n], for few outputs and long sums:
//                   matmul_finish adds them up
//
// shapes    a, b, y by element strides as in matmul.wgsl · parts [splits, batch, m, n]
// dispatch  a workgroup per tile, and run of k
// tuning    BM, BN = a tile's sides; BK = its depth; TM × TN outputs a thread: WG = BM/TM · BN/TN threads
//           ItemA, WIDTH_A = what is read of a at once; A_ALONG_K = 1: along k, 0: along m; b likewise
//           UNROLL = 0 on software devices, which else compile for long
// numerics  f32
// uses      lib/index lib/product lib/tile_blocks lib/tile_product lib/tile_operands
const BM = 128u;                // tune: 4 8 16 32 64 96 128 256
const BN = 128u;                // tune: 4 8 16 32 64 96 128 256
const BK = 8u;                  // tune: 8 16
const TM = 8u;                  // tune: 4 8
const TN = 8u;                  // tune: 4 8
const WG = 256u;                // tune: 64 128 256
alias ItemA = vec4f;            // tune: vec4f f32
alias ItemB = vec4f;            // tune: vec4f f32
const WIDTH_A = 4u;             // tune: 4 1
const WIDTH_B = 4u;             // tune: 4 1
const A_ALONG_K = 1u;           // tune: 0 1
const B_ALONG_K = 1u;           // tune: 0 1
const UNROLL = 1u;              // tune: 0 1

@group(0) @binding(5) var<storage, read_write> parts: array<f32>;
@group(0) @binding(7) var<storage, read_write> y_quads: array<vec4f>;

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let t = tile_of(flat_group(wg, grid));
  if (!t.inside) { return; }
  let sum = multiply(t, lane);
  for (var i = 0u; i < until(TM * TN); i++) {
    let m = t.m0 + row_of(lane, i / 4u);
    let n = t.n0 + column_of(lane, i / 4u) + i % 4u;
    if (m < params.m && n < params.n) { store(t.g, m, n, sum[i / 4u][i % 4u]); }
  }
}

@compute @workgroup_size(WG)
fn forward_quads(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
                 @builtin(local_invocation_index) lane: u32) {
  let t = tile_of(flat_group(wg, grid));
  if (!t.inside) { return; }
  let sum = multiply(t, lane);
  for (var i = 0u; i < until(TM * COLUMN_QUADS); i++) {
    let m = t.m0 + row_of(lane, i);
    let n = t.n0 + column_of(lane, i);
    if (m >= params.m || n >= params.n) { continue; }
    let at = y_at(t.g, m, n) / 4u;
    var value = vec4f(finished(t.g, m, n, sum[i].x), finished(t.g, m, n + 1u, sum[i].y),
                      finished(t.g, m, n + 2u, sum[i].z), finished(t.g, m, n + 3u, sum[i].w));
    if (params.accumulate == 1u) { value += y_quads[at]; }
    y_quads[at] = value;
  }
}

@compute @workgroup_size(WG)
fn part(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let t = tile_of(flat_group(wg, grid));
  if (!t.inside) { return; }
  let sum = multiply(t, lane);
  for (var i = 0u; i < until(TM * TN); i++) {
    let m = t.m0 + row_of(lane, i / 4u);
    let n = t.n0 + column_of(lane, i / 4u) + i % 4u;
    if (m < params.m && n < params.n) {
      parts[((t.split * params.batch + t.g) * params.m + m) * params.n + n] = sum[i / 4u][i % 4u];
    }
  }
}
