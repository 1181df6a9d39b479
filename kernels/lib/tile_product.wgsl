// tile_product: a BM × BN tile of a matrix product, out of tiles of both factors in workgroup memory. A
// thread has TM × TN of it, in quads: its quads lie apart, so that those of neighbours are side by side.
// Needs the constants BM, BN, BK, TM and TN, multiples of 4, UNROLL and params.zero.
const ACROSS = BN / TN;                                // threads along n
const DOWN = BM / TM;
const ROW_QUADS = TM / 4u;
const COLUMN_QUADS = TN / 4u;
const LEFT_STRIDE = BM / 4u + 1u;                      // one more: writes at once meet different banks
const RIGHT_STRIDE = BN / 4u + 1u;

var<workgroup> left: array<vec4f, BK * LEFT_STRIDE>;       // [k][m / 4]
var<workgroup> right: array<vec4f, BK * RIGHT_STRIDE>;     // [k][n / 4]
var<private> sum: array<vec4f, TM * COLUMN_QUADS>;         // [row][quad of columns]

// the end of a loop over registers: a constant wherever the driver's unrolling is wanted
fn until(count: u32) -> u32 { return count + select(params.zero, 0u, UNROLL == 1u); }

// where a thread's q-th quad of rows and of columns begins in the tile
fn quad_row(lane: u32, q: u32) -> u32 { return 4u * (lane / ACROSS + q * DOWN); }
fn quad_column(lane: u32, q: u32) -> u32 { return 4u * (lane % ACROSS + q * ACROSS); }

// where in the tile the i-th quad of `sum` is
fn row_of(lane: u32, i: u32) -> u32 { return quad_row(lane, i / COLUMN_QUADS / 4u) + i / COLUMN_QUADS % 4u; }
fn column_of(lane: u32, i: u32) -> u32 { return quad_column(lane, i % COLUMN_QUADS); }

// sum += left · right
fn multiply_tiles(lane: u32) {
  for (var k = 0u; k < until(BK); k++) {
    var columns: array<vec4f, COLUMN_QUADS>;
    for (var c = 0u; c < until(COLUMN_QUADS); c++) {
      columns[c] = right[k * RIGHT_STRIDE + quad_column(lane, c) / 4u];
    }
    for (var r = 0u; r < until(ROW_QUADS); r++) {
      let rows = left[k * LEFT_STRIDE + quad_row(lane, r) / 4u];
      for (var c = 0u; c < until(COLUMN_QUADS); c++) {
        let at = 4u * r * COLUMN_QUADS + c;
        sum[at] += rows.x * columns[c];
        sum[at + COLUMN_QUADS] += rows.y * columns[c];
        sum[at + 2u * COLUMN_QUADS] += rows.z * columns[c];
        sum[at + 3u * COLUMN_QUADS] += rows.w * columns[c];
      }
    }
  }
}

// puts a block of four rows or columns and four k in its place; a column of it is for one k
fn place_left(to: vec2u, block: mat4x4f) {
  for (var i = 0u; i < until(4u); i++) { left[(to.y + i) * LEFT_STRIDE + to.x / 4u] = block[i]; }
}
fn place_right(to: vec2u, block: mat4x4f) {
  for (var i = 0u; i < until(4u); i++) { right[(to.y + i) * RIGHT_STRIDE + to.x / 4u] = block[i]; }
}

const BLOCKS_LEFT = BM * BK / 16u;
const BLOCKS_RIGHT = BN * BK / 16u;

// where block `e` of a tile `side` wide begins, (m or n, k): neighbours follow the contiguous axis
fn block_at(e: u32, side: u32, along_k: bool) -> vec2u {
  if (along_k) { return 4u * vec2u(e / (BK / 4u), e % (BK / 4u)); }
  return 4u * vec2u(e % (side / 4u), e / (side / 4u));
}
