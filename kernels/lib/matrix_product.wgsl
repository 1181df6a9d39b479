// matrix_product: in the place of lib/tile_product, a tile by subgroup matrices: factors in f16, sums in f32.
// Four subgroups, two by two, have a quarter of the tile each. Their sums lie in the hardware's own order;
// they pass through workgroup memory, strip by strip, to become a thread's quads.
//
// numerics  a factor above 65,504 becomes infinite and one below 6e-8 becomes 0: scale gradients that small
const SUBGROUP = 32u;           // tune: 8 32 64
const MATRIX_M = 16u;           // tune: 8 16
const MATRIX_N = 16u;           // tune: 8 16
const MATRIX_K = 16u;           // tune: 8 16
const COLUMN_QUADS = TN / 4u;
const LEFT_STRIDE = BM / 4u + 2u;                      // rows of f16 quads begin at multiples of 16 bytes
const RIGHT_STRIDE = BN / 4u + 2u;
const RIGHT = BK * LEFT_STRIDE;
const QUARTER_M = BM / 2u;
const QUARTER_N = BN / 2u;
const DOWN = QUARTER_M / MATRIX_M;
const ACROSS = QUARTER_N / MATRIX_N;
const STRIP = MATRIX_M * QUARTER_N / 4u;               // quads of a subgroup's strip of sums
const QUADS_A_STRIP = STRIP / SUBGROUP;                // of them a thread

alias Left = subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>;
alias Sums = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;

var<workgroup> tiles: array<vec2u, max(BK * (LEFT_STRIDE + RIGHT_STRIDE), 8u * STRIP)>;
alias Held = array<Sums, DOWN * ACROSS>;
alias Quads = array<vec4f, TM * COLUMN_QUADS>;

fn quarter_row(lane: u32) -> u32 { return lane / SUBGROUP / 2u * QUARTER_M; }
fn quarter_column(lane: u32) -> u32 { return lane / SUBGROUP % 2u * QUARTER_N; }
fn quad_in_strip(lane: u32, i: u32) -> u32 { return lane % SUBGROUP + i % QUADS_A_STRIP * SUBGROUP; }
fn row_of(lane: u32, i: u32) -> u32 {
  return quarter_row(lane) + i / QUADS_A_STRIP * MATRIX_M + quad_in_strip(lane, i) / (QUARTER_N / 4u);
}
fn column_of(lane: u32, i: u32) -> u32 {
  return quarter_column(lane) + quad_in_strip(lane, i) % (QUARTER_N / 4u) * 4u;
}

fn halves(v: vec4f) -> vec2u { return bitcast<vec2u>(vec4<f16>(v)); }
fn place_left(to: vec2u, block: mat4x4f) {
  for (var i = 0u; i < 4u; i++) { tiles[(to.y + i) * LEFT_STRIDE + to.x / 4u] = halves(block[i]); }
}
fn place_right(to: vec2u, block: mat4x4f) {
  for (var i = 0u; i < 4u; i++) { tiles[RIGHT + (to.y + i) * RIGHT_STRIDE + to.x / 4u] = halves(block[i]); }
}

fn multiply_tiles(held: ptr<function, Held>, lane: u32) {
  let row = quarter_row(lane) / 4u;
  let column = RIGHT + quarter_column(lane) / 4u;
  for (var k = 0u; k < BK; k += MATRIX_K) {
    var rows: array<Left, DOWN>;
    for (var i = 0u; i < DOWN; i++) {
      rows[i] = subgroupMatrixLoad<Left, col_major>(
        &tiles, k * LEFT_STRIDE + row + i * MATRIX_M / 4u, LEFT_STRIDE);
    }
    for (var j = 0u; j < ACROSS; j++) {
      let columns = subgroupMatrixLoad<Right, row_major>(
        &tiles, k * RIGHT_STRIDE + column + j * MATRIX_N / 4u, RIGHT_STRIDE);
      for (var i = 0u; i < DOWN; i++) {
        let at = i * ACROSS + j;
        (*held)[at] = subgroupMatrixMultiplyAccumulate(rows[i], columns, (*held)[at]);
      }
    }
  }
}

fn collected(held: ptr<function, Held>, lane: u32) -> Quads {
  var quads = Quads();
  let own = lane / SUBGROUP * 2u * STRIP;
  for (var i = 0u; i < DOWN; i++) {
    workgroupBarrier();
    for (var j = 0u; j < ACROSS; j++) {
      subgroupMatrixStore<row_major>(
        &tiles, own + j * MATRIX_N / 2u, (*held)[i * ACROSS + j], QUARTER_N / 2u);
    }
    workgroupBarrier();
    for (var q = 0u; q < QUADS_A_STRIP; q++) {
      let at = own + 2u * quad_in_strip(lane, q);
      quads[i * QUADS_A_STRIP + q] = vec4f(bitcast<vec2f>(tiles[at]), bitcast<vec2f>(tiles[at + 1u]));
    }
  }
  return quads;
}
