// matmul_tile: the form for GPUs. A workgroup computes a BM × BN tile of y out of tiles in workgroup memory.
//
//   forward   y[g,m,n] = scale · Σ_k a[g,m,k] · b[g,k,n]  (+ bias[g,n])  (+ y[g,m,n] where accumulate), with
//             elements of a, b or the product dropped by mask as in matmul.wgsl
//   part      parts[s,g,m,n] = Σ_{k in run s} a[g,m,k] · b[g,k,n]       for few outputs and long sums
//   finish    y[g,m,n] = scale · Σ_s parts[s,g,m,n]  (+ bias[g,n])  (+ y[g,m,n] where accumulate)
//
// shapes    a, b, y by element strides as in matmul.wgsl · parts [splits, batch, m, n]
// dispatch  forward: a workgroup per tile · part: one per tile and run of k · finish: a thread per output
// tuning    BM, BN = a tile's sides; BK = its depth; TM × TN outputs a thread: WG = BM/TM · BN/TN threads
// numerics  f32; runs of k are summed in their order
// uses      lib/index
const BM = 64u;                 // tune: 32 64 128
const BN = 64u;                 // tune: 32 64 128
const BK = 16u;                 // tune: 8 16 32
const TM = 4u;                  // tune: 2 4 8
const TN = 4u;                  // tune: 2 4 8
const WG = 256u;                // tune: 64 128 256
const PAD = 1u;                 // keeps a column of a tile from falling into one bank

struct Params {
  m: u32, n: u32, k: u32, batch: u32, a_at: u32, a_batch: u32, a_row: u32, a_col: u32, b_at: u32,
  b_batch: u32, b_row: u32, b_col: u32, y_at: u32, y_batch: u32, y_row: u32, bias_batch: u32,
  scale: f32, accumulate: u32, has_bias: u32, mask_on: u32, mask_row: u32, run: u32, splits: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> parts: array<f32>;
@group(0) @binding(6) var<storage, read> mask: array<u32>;

var<workgroup> left: array<f32, BK * (BM + PAD)>;      // [k][m]
var<workgroup> right: array<f32, BK * (BN + PAD)>;     // [k][n]
var<private> sum: array<f32, TM * TN>;

fn kept(at: u32) -> f32 { return f32((mask[at >> 5u] >> (at & 31u)) & 1u); }    // else 0: dropped

struct Tile { g: u32, m0: u32, n0: u32, split: u32, inside: bool }

fn tile_of(group: u32) -> Tile {
  let tiles_n = (params.n + BN - 1u) / BN;
  let tiles = (params.m + BM - 1u) / BM * tiles_n;
  let tile = group % tiles;
  let rest = group / tiles;
  return Tile(rest % params.batch, tile / tiles_n * BM, tile % tiles_n * BN, rest / params.batch,
              rest < params.batch * params.splits);
}

// sums a tile over k in [first, end) into `sum`
fn multiply(t: Tile, lane: u32, first: u32, end: u32) {
  let row = lane / (BN / TN) * TM;
  let column = lane % (BN / TN) * TN;
  for (var k0 = first; k0 < end; k0 += BK) {
    load_left(t, lane, k0, end);
    load_right(t, lane, k0, end);
    workgroupBarrier();
    for (var k = 0u; k < BK; k++) {
      var x: array<f32, TM>;
      for (var i = 0u; i < TM; i++) { x[i] = left[k * (BM + PAD) + row + i]; }
      for (var j = 0u; j < TN; j++) {
        let w = right[k * (BN + PAD) + column + j];
        for (var i = 0u; i < TM; i++) { sum[i * TN + j] += x[i] * w; }
      }
    }
    workgroupBarrier();
  }
}

// neighbouring threads read along whichever axis is contiguous; what lies outside counts as 0
fn load_left(t: Tile, lane: u32, k0: u32, end: u32) {
  for (var i = lane; i < BM * BK; i += WG) {
    let along_k = params.a_col == 1u;
    let m = select(i % BM, i / BK, along_k);
    let k = select(i / BM, i % BK, along_k);
    var value = 0.0;
    if (t.m0 + m < params.m && k0 + k < end) {
      value = a[params.a_at + t.g * params.a_batch + (t.m0 + m) * params.a_row + (k0 + k) * params.a_col];
      if (params.mask_on == 1u) { value *= kept((t.m0 + m) * params.mask_row + k0 + k); }
    }
    left[k * (BM + PAD) + m] = value;
  }
}

fn load_right(t: Tile, lane: u32, k0: u32, end: u32) {
  for (var i = lane; i < BN * BK; i += WG) {
    let along_k = params.b_row == 1u;
    let n = select(i % BN, i / BK, along_k);
    let k = select(i / BN, i % BK, along_k);
    var value = 0.0;
    if (t.n0 + n < params.n && k0 + k < end) {
      value = b[params.b_at + t.g * params.b_batch + (k0 + k) * params.b_row + (t.n0 + n) * params.b_col];
      if (params.mask_on == 2u) { value *= kept((k0 + k) * params.mask_row + t.n0 + n); }
    }
    right[k * (BN + PAD) + n] = value;
  }
}

fn store(g: u32, m: u32, n: u32, total: f32) {
  let at = params.y_at + g * params.y_batch + m * params.y_row + n;
  var value = params.scale * total;
  if (params.mask_on == 3u) { value *= kept(m * params.mask_row + n); }
  if (params.has_bias == 1u) { value += bias[g * params.bias_batch + n]; }
  if (params.accumulate == 1u) { value += y[at]; }
  y[at] = value;
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let t = tile_of(flat_group(wg, grid));
  if (!t.inside) { return; }
  multiply(t, lane, 0u, params.k);
  for (var i = 0u; i < TM; i++) {
    for (var j = 0u; j < TN; j++) {
      let m = t.m0 + lane / (BN / TN) * TM + i;
      let n = t.n0 + lane % (BN / TN) * TN + j;
      if (m < params.m && n < params.n) { store(t.g, m, n, sum[i * TN + j]); }
    }
  }
}

@compute @workgroup_size(WG)
fn part(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let t = tile_of(flat_group(wg, grid));
  if (!t.inside) { return; }
  multiply(t, lane, t.split * params.run, min(params.k, (t.split + 1u) * params.run));
  for (var i = 0u; i < TM; i++) {
    for (var j = 0u; j < TN; j++) {
      let m = t.m0 + lane / (BN / TN) * TM + i;
      let n = t.n0 + lane % (BN / TN) * TN + j;
      if (m < params.m && n < params.n) {
        parts[((t.split * params.batch + t.g) * params.m + m) * params.n + n] = sum[i * TN + j];
      }
    }
  }
}

@compute @workgroup_size(WG)
fn finish(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
          @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(wg, grid) * WG + lane;
  let outputs = params.batch * params.m * params.n;
  if (i >= outputs) { return; }
  var total = 0.0;
  for (var s = 0u; s < params.splits; s++) { total += parts[s * outputs + i]; }
  store(i / (params.m * params.n), i / params.n % params.m, i % params.n, total);
}
