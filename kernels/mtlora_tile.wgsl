// mtlora_tile: the adapted linear layer for GPUs: a workgroup's tile of the base product stays in registers
// while each low-rank update is added to it and each output is written.
//
//   forward   base = x Wᵀ + b        y[g] = base + p_g bt_g     (+ p_0 bt_0 for g > 0 where tasks include it)
//
// shapes    x [M, K] (the shared stream) · w [N, K] · bias [N] · p [M, R] = scale · input Aᵀ, branches side
//           by side · bt [R, N] · offsets [G + 1] first column of each branch, then R · y [G, M, N], stream 0
//           is the shared one
// dispatch  a workgroup per BM × BN tile, for all streams
// tuning    BM, BN = a tile's sides; BK = its depth; TM × TN outputs a thread: WG = BM/TM · BN/TN threads
// numerics  f32; a branch's sum is added onto the base
// uses      lib/index
const BM = 64u;                 // tune: 32 64 128
const BN = 64u;                 // tune: 32 64 128
const BK = 16u;                 // tune: 8 16 32
const TM = 4u;                  // tune: 2 4 8
const TN = 4u;                  // tune: 2 4 8
const WG = 256u;                // tune: 64 128 256
const PAD = 1u;                 // keeps a column of a tile from falling into one bank

struct Params { m: u32, n: u32, k: u32, streams: u32, rank: u32, has_bias: u32, include_shared: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> p: array<f32>;
@group(0) @binding(5) var<storage, read> bt: array<f32>;
@group(0) @binding(6) var<storage, read> offsets: array<u32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

var<workgroup> left: array<f32, BK * (BM + PAD)>;      // [k][m]
var<workgroup> right: array<f32, BK * (BN + PAD)>;     // [k][n]
var<workgroup> branch_ends: vec2u;
var<private> base: array<f32, TM * TN>;
var<private> sum: array<f32, TM * TN>;

// sum += left right over one depth of the tiles in workgroup memory
fn multiply(lane: u32) {
  let row = lane / (BN / TN) * TM;
  let column = lane % (BN / TN) * TN;
  for (var k = 0u; k < BK; k++) {
    var held: array<f32, TM>;
    for (var i = 0u; i < TM; i++) { held[i] = left[k * (BM + PAD) + row + i]; }
    for (var j = 0u; j < TN; j++) {
      let other = right[k * (BN + PAD) + column + j];
      for (var i = 0u; i < TM; i++) { sum[i * TN + j] += held[i] * other; }
    }
  }
}

fn load_base(m0: u32, n0: u32, k0: u32, lane: u32) {
  for (var i = lane; i < BM * BK; i += WG) {
    let inside = m0 + i / BK < params.m && k0 + i % BK < params.k;
    left[i % BK * (BM + PAD) + i / BK] = select(0.0, x[(m0 + i / BK) * params.k + k0 + i % BK], inside);
  }
  for (var i = lane; i < BN * BK; i += WG) {
    let inside = n0 + i / BK < params.n && k0 + i % BK < params.k;
    right[i % BK * (BN + PAD) + i / BK] = select(0.0, w[(n0 + i / BK) * params.k + k0 + i % BK], inside);
  }
}

fn load_branch(m0: u32, n0: u32, j0: u32, end: u32, lane: u32) {
  for (var i = lane; i < BM * BK; i += WG) {
    let inside = m0 + i / BK < params.m && j0 + i % BK < end;
    left[i % BK * (BM + PAD) + i / BK] = select(0.0, p[(m0 + i / BK) * params.rank + j0 + i % BK], inside);
  }
  for (var i = lane; i < BN * BK; i += WG) {
    let inside = n0 + i % BN < params.n && j0 + i / BN < end;
    right[i / BN * (BN + PAD) + i % BN] = select(0.0, bt[(j0 + i / BN) * params.n + n0 + i % BN], inside);
  }
}

fn store(g: u32, m0: u32, n0: u32, lane: u32) {
  for (var i = 0u; i < TM; i++) {
    for (var j = 0u; j < TN; j++) {
      let m = m0 + lane / (BN / TN) * TM + i;
      let n = n0 + lane % (BN / TN) * TN + j;
      if (m < params.m && n < params.n) { y[(g * params.m + m) * params.n + n] = sum[i * TN + j]; }
    }
  }
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let tiles_n = (params.n + BN - 1u) / BN;
  let tile = flat_group(wg, grid);
  let m0 = tile / tiles_n * BM;
  let n0 = tile % tiles_n * BN;
  if (m0 >= params.m) { return; }
  if (params.has_bias == 1u) {
    let column = n0 + lane % (BN / TN) * TN;
    for (var i = 0u; i < TM * TN; i++) { sum[i] = bias[min(column + i % TN, params.n - 1u)]; }
  }
  for (var k0 = 0u; k0 < params.k; k0 += BK) {
    load_base(m0, n0, k0, lane);
    workgroupBarrier();
    multiply(lane);
    workgroupBarrier();
  }
  base = sum;
  for (var g = 0u; g < params.streams; g++) {
    // through workgroup memory: the compiler must see that all threads take the same turns
    if (lane == 0u) { branch_ends = vec2u(offsets[g], offsets[g + 1u]); }
    let ends = workgroupUniformLoad(&branch_ends);
    sum = base;
    for (var j0 = ends.x; j0 < ends.y; j0 += BK) {
      load_branch(m0, n0, j0, ends.y, lane);
      workgroupBarrier();
      multiply(lane);
      workgroupBarrier();
    }
    store(g, m0, n0, lane);
    if (g == 0u && params.include_shared == 1u) { base = sum; }
  }
}
