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
alias Quads = array<vec4f, TM * COLUMN_QUADS>;              // [row][quad of columns], a thread's
alias Held = Quads;                                        // while they are summed

// where a thread's q-th quad of rows and of columns begins in the tile
fn quad_row(lane: u32, q: u32) -> u32 { return 4u * (lane / ACROSS + q * DOWN); }
fn quad_column(lane: u32, q: u32) -> u32 { return 4u * (lane % ACROSS + q * ACROSS); }

// where in the tile a thread's i-th quad is
fn row_of(lane: u32, i: u32) -> u32 { return quad_row(lane, i / COLUMN_QUADS / 4u) + i / COLUMN_QUADS % 4u; }
fn column_of(lane: u32, i: u32) -> u32 { return quad_column(lane, i % COLUMN_QUADS); }

// held += left · right
fn multiply_tiles(held: ptr<function, Held>, lane: u32) {
  for (var k = 0u; k < until(BK); k++) {
    var columns: array<vec4f, COLUMN_QUADS>;
    for (var c = 0u; c < until(COLUMN_QUADS); c++) {
      columns[c] = right[k * RIGHT_STRIDE + quad_column(lane, c) / 4u];
    }
    for (var r = 0u; r < until(ROW_QUADS); r++) {
      let rows = left[k * LEFT_STRIDE + quad_row(lane, r) / 4u];
      for (var c = 0u; c < until(COLUMN_QUADS); c++) {
        let at = 4u * r * COLUMN_QUADS + c;
        (*held)[at] += rows.x * columns[c];
        (*held)[at + COLUMN_QUADS] += rows.y * columns[c];
        (*held)[at + 2u * COLUMN_QUADS] += rows.z * columns[c];
        (*held)[at + 3u * COLUMN_QUADS] += rows.w * columns[c];
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

fn collected(held: ptr<function, Held>, lane: u32) -> Quads { return *held; }
