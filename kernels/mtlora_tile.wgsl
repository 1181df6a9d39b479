// mtlora_tile: the adapted linear layer for GPUs: a workgroup's tile of the base product stays in registers
// while each low-rank update is added to it and each output is written (lib/tile_product).
//
//   forward   base = x Wᵀ        y[g] = base + p_g bt_g + b     (+ p_0 bt_0 for g > 0 where tasks include it)
//
// shapes    x [M, K] (the shared stream) · w [N, K] · bias [N] · p [M, R] = scale · input Aᵀ, branches side
//           by side · bt [R, N] · offsets [G + 1] first column of each branch, then R · y [G, M, N], stream 0
//           is the shared one · K and N are multiples of 4
// dispatch  a workgroup per BM × BN tile, for all streams
// tuning    BM, BN = a tile's sides; BK = its depth; TM × TN outputs a thread: WG = BM/TM · BN/TN threads
//           ItemP, WIDTH_P = 4 where all branches begin and end at multiples of 4 · SEVERAL = 0 where there
//           is one stream: the base need not outlive its update · UNROLL as in matmul_tile
// numerics  f32; a branch's sum is added onto the base, the bias last
// uses      lib/index lib/tile_blocks lib/tile_product
const BM = 64u;                 // tune: 64 96 128
const BN = 128u;                // tune: 64 96 128
const BK = 16u;                 // tune: 8 16
const TM = 8u;                  // tune: 4 8
const TN = 4u;                  // tune: 4 8
const WG = 256u;                // tune: 64 128 256
alias ItemP = vec4f;            // tune: vec4f f32
const WIDTH_P = 4u;             // tune: 4 1
const SEVERAL = 1u;             // tune: 0 1
const UNROLL = 1u;              // tune: 0 1

struct Params {
  m: u32, n: u32, k: u32, streams: u32, rank: u32, has_bias: u32, include_shared: u32, zero: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read> p: array<ItemP>;
@group(0) @binding(5) var<storage, read> bt: array<vec4f>;
@group(0) @binding(6) var<storage, read> offsets: array<u32>;
@group(0) @binding(7) var<storage, read_write> y: array<vec4f>;

var<workgroup> branch_ends: vec2u;

fn x_quad(m: u32, k: u32) -> vec4f {
  if (m >= params.m || k >= params.k) { return vec4f(); }
  return x[(m * params.k + k) / 4u];
}

fn w_quad(n: u32, k: u32) -> vec4f {
  if (n >= params.n || k >= params.k) { return vec4f(); }
  return w[(n * params.k + k) / 4u];
}

fn p_quad(m: u32, j: u32, end: u32) -> vec4f {
  if (m >= params.m || j >= end) { return vec4f(); }
  let at = m * params.rank + j;
  if (WIDTH_P == 4u) { return vec4f(p[at / 4u]); }
  var quad = vec4f();
  for (var i = 0u; i < min(until(4u), end - j); i++) { quad[i] = vec4f(p[at + i]).x; }
  return quad;
}

fn bt_quad(n: u32, j: u32, end: u32) -> vec4f {
  if (n >= params.n || j >= end) { return vec4f(); }
  return bt[(j * params.n + n) / 4u];
}

fn load_base(m0: u32, n0: u32, k0: u32, lane: u32) {
  for (var e = lane; e < BLOCKS_LEFT + BLOCKS_RIGHT; e += WG) {
    var block = mat4x4f();
    if (e < BLOCKS_LEFT) {
      let to = block_at(e, BM, true);
      for (var i = 0u; i < until(4u); i++) { block[i] = x_quad(m0 + to.x + i, k0 + to.y); }
      place_left(to, transpose(block));
    } else {
      let to = block_at(e - BLOCKS_LEFT, BN, true);
      for (var i = 0u; i < until(4u); i++) { block[i] = w_quad(n0 + to.x + i, k0 + to.y); }
      place_right(to, transpose(block));
    }
  }
}

fn load_branch(m0: u32, n0: u32, j0: u32, end: u32, lane: u32) {
  for (var e = lane; e < BLOCKS_LEFT + BLOCKS_RIGHT; e += WG) {
    var block = mat4x4f();
    if (e < BLOCKS_LEFT) {
      let to = block_at(e, BM, true);
      for (var i = 0u; i < until(4u); i++) { block[i] = p_quad(m0 + to.x + i, j0 + to.y, end); }
      place_left(to, transpose(block));
    } else {
      let to = block_at(e - BLOCKS_LEFT, BN, false);
      for (var i = 0u; i < until(4u); i++) { block[i] = bt_quad(n0 + to.x, j0 + to.y + i, end); }
      place_right(to, block);
    }
  }
}

fn store(sum: Quads, g: u32, m0: u32, n0: u32, lane: u32) {
  for (var i = 0u; i < until(TM * COLUMN_QUADS); i++) {
    let m = m0 + row_of(lane, i);
    let n = n0 + column_of(lane, i);
    if (m >= params.m || n >= params.n) { continue; }
    let b = select(vec4f(), bias[n / 4u], params.has_bias == 1u);
    y[((g * params.m + m) * params.n + n) / 4u] = sum[i] + b;
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
  var sum = Held();
  for (var k0 = 0u; k0 < params.k; k0 += BK) {
    load_base(m0, n0, k0, lane);
    workgroupBarrier();
    multiply_tiles(&sum, lane);
    workgroupBarrier();
  }
  var base = sum;
  for (var g = 0u; g < params.streams; g++) {
    // through workgroup memory: the compiler must see that all threads take the same turns
    if (lane == 0u) { branch_ends = vec2u(offsets[g], offsets[g + 1u]); }
    let ends = workgroupUniformLoad(&branch_ends);
    if (SEVERAL == 1u) { sum = base; }
    for (var j0 = ends.x; j0 < ends.y; j0 += BK) {
      load_branch(m0, n0, j0, ends.y, lane);
      workgroupBarrier();
      multiply_tiles(&sum, lane);
      workgroupBarrier();
    }
    store(collected(&sum, lane), g, m0, n0, lane);
    if (SEVERAL == 1u && g == 0u && params.include_shared == 1u) { base = sum; }
  }
}
