// tile_operands: fills the tiles of lib/tile_product from matrices with any strides. Each is read along its
// contiguous axis, four elements at once where they are aligned; blocks are turned round where that is k.
// Needs lib/product, what lib/tile_product needs, and ItemA, WIDTH_A, A_ALONG_K (1: k, 0: m), and those of b.
@group(0) @binding(1) var<storage, read> a: array<ItemA>;
@group(0) @binding(2) var<storage, read> b: array<ItemB>;

fn kept_quad(at: u32) -> vec4f { return vec4f(kept(at), kept(at + 1u), kept(at + 2u), kept(at + 3u)); }

struct Tile { g: u32, m0: u32, n0: u32, first: u32, end: u32, split: u32, inside: bool }

fn tile_of(group: u32) -> Tile {
  let tiles_m = (params.m + BM - 1u) / BM;
  let tiles_n = (params.n + BN - 1u) / BN;
  let tile = group % (tiles_m * tiles_n);
  let rest = group / (tiles_m * tiles_n);
  let split = rest / params.batch;
  return Tile(rest % params.batch, tile / tiles_n * BM, tile % tiles_n * BN, split * params.run,
              min(params.k, (split + 1u) * params.run), split, rest < params.batch * params.splits);
}

// four of a from (m, k) on along its contiguous axis; what lies outside counts as 0
fn a_quad(t: Tile, m: u32, k: u32) -> vec4f {
  if (m >= params.m || k >= t.end) { return vec4f(); }
  let at = params.a_at + t.g * params.a_batch + m * params.a_row + k * params.a_col;
  var quad = vec4f();
  if (WIDTH_A == 4u) {
    quad = vec4f(a[at / 4u]);
  } else {
    let step = select(params.a_row, params.a_col, A_ALONG_K == 1u);
    let inside = select(params.m - m, t.end - k, A_ALONG_K == 1u);
    for (var i = 0u; i < min(until(4u), inside); i++) { quad[i] = vec4f(a[at + i * step]).x; }
  }
  if (params.mask_on == 1u) { quad *= kept_quad(m * params.mask_row + k); }
  return quad;
}

fn b_quad(t: Tile, n: u32, k: u32) -> vec4f {
  if (n >= params.n || k >= t.end) { return vec4f(); }
  let at = params.b_at + t.g * params.b_batch + k * params.b_row + n * params.b_col;
  var quad = vec4f();
  if (WIDTH_B == 4u) {
    quad = vec4f(b[at / 4u]);
  } else {
    let step = select(params.b_col, params.b_row, B_ALONG_K == 1u);
    let inside = select(params.n - n, t.end - k, B_ALONG_K == 1u);
    for (var i = 0u; i < min(until(4u), inside); i++) { quad[i] = vec4f(b[at + i * step]).x; }
  }
  if (params.mask_on == 2u) { quad *= kept_quad(k * params.mask_row + n); }
  return quad;
}

fn load_left(t: Tile, e: u32, k0: u32) {
  let to = block_at(e, BM, A_ALONG_K == 1u);
  var block = mat4x4f();
  for (var i = 0u; i < until(4u); i++) {
    block[i] = a_quad(t, t.m0 + to.x + i * A_ALONG_K, k0 + to.y + i * (1u - A_ALONG_K));
  }
  if (A_ALONG_K == 1u) { block = transpose(block); }
  place_left(to, block);
}

fn load_right(t: Tile, e: u32, k0: u32) {
  let to = block_at(e, BN, B_ALONG_K == 1u);
  var block = mat4x4f();
  for (var i = 0u; i < until(4u); i++) {
    block[i] = b_quad(t, t.n0 + to.x + i * B_ALONG_K, k0 + to.y + i * (1u - B_ALONG_K));
  }
  if (B_ALONG_K == 1u) { block = transpose(block); }
  place_right(to, block);
}

// the tile's sums over its run of k
fn multiply(t: Tile, lane: u32) -> Quads {
  var held = Held();
  for (var k0 = t.first; k0 < t.end; k0 += BK) {
    for (var e = lane; e < BLOCKS_LEFT + BLOCKS_RIGHT; e += WG) {
      if (e < BLOCKS_LEFT) { load_left(t, e, k0); } else { load_right(t, e - BLOCKS_LEFT, k0); }
    }
    workgroupBarrier();
    multiply_tiles(&held, lane);
    workgroupBarrier();
  }
  return collected(&held, lane);
}
