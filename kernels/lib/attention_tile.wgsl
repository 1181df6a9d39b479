// attention_tile: a window's rows in workgroup memory, for the tile form of window attention.
//
// `tile` holds two sets of ROWS rows of the window, of SIDE tokens each: the set at LEFT and the one at
// RIGHT. Threads fill them side by side, so that neighbours read neighbours; then each token's row has a
// thread. Every thread of a workgroup must call what has a barrier. Needs lib/attention, lib/window, the
// buffers y and dqkv, and the constants WG ≥ AREA, ROWS and UNROLL.
const STRIDE = ITEMS + 1u;                       // keeps rows that threads read at once in different banks
const LEFT = 0u;
const RIGHT = ROWS * SIDE * STRIDE;
const SPAN = 2u * SIDE - 1u;
const DY = 3u;                                         // further sources beside Q, K and V
const Y = 4u;

var<workgroup> tile: array<Item, 2u * ROWS * SIDE * STRIDE>;
var<workgroup> tokens: array<u32, AREA>;               // where the window's tokens lie
var<workgroup> regions: array<u32, AREA>;
var<workgroup> biases: array<f32, SPAN * SPAN>;        // the head's column of the table

fn load_biases(head: u32, lane: u32) {
  for (var i = lane; i < SPAN * SPAN; i += WG) { biases[i] = table[i * params.heads + head]; }
}

fn load_places(window: u32, lane: u32) {
  if (lane >= AREA) { return; }
  let win = window_at(window);
  tokens[lane] = token_of(win, lane);
  regions[lane] = region_of(win, lane);
}

// the end of a loop over a thread's registers: a constant wherever the driver's unrolling is wanted
fn until(count: u32) -> u32 { return count + select(params.zero, 0u, UNROLL == 1u); }

// rows from `first` to here are in the tile; a run-time number: no driver should unroll a loop over them
fn end_row(first: u32) -> u32 { return min(first + ROWS, SIDE) + params.zero; }
fn tile_items(first: u32) -> u32 { return (end_row(first) - first) * SIDE * ITEMS; }

fn fill(origin: u32, source: u32, head: u32, first: u32, lane: u32) {
  for (var e = lane; e < tile_items(first); e += WG) {
    let token = tokens[first * SIDE + e / ITEMS];
    let d = e % ITEMS;
    let to = origin + e / ITEMS * STRIDE + d;
    switch source {
      case DY: { tile[to] = dy[y_at(token, head) + d]; }
      case Y: { tile[to] = y[y_at(token, head) + d]; }
      default: { tile[to] = qkv[qkv_at(token, source, head) + d]; }
    }
  }
}

fn fill_both(left: u32, right: u32, head: u32, first: u32, lane: u32) {
  workgroupBarrier();
  fill(LEFT, left, head, first, lane);
  fill(RIGHT, right, head, first, lane);
  workgroupBarrier();
}

fn is_in_tile(i: u32, first: u32) -> bool { return i / SIDE >= first && i / SIDE < first + ROWS; }

// to each thread the row of its token i
fn own_row(source: u32, head: u32, i: u32, lane: u32) -> Row {
  var row: Row;
  for (var first = 0u; first < until(SIDE); first += ROWS) {
    workgroupBarrier();
    fill(LEFT, source, head, first, lane);
    workgroupBarrier();
    if (is_in_tile(i, first)) {
      for (var d = 0u; d < until(ITEMS); d++) { row[d] = tile[LEFT + (i - first * SIDE) * STRIDE + d]; }
    }
  }
  return row;
}

// the way back: puts each thread's row into the tile, where it is among those from row `first` on
fn spread(row: Row, first: u32, lane: u32) {
  workgroupBarrier();
  if (lane < AREA && is_in_tile(lane, first)) {
    for (var d = 0u; d < until(ITEMS); d++) { tile[LEFT + (lane - first * SIDE) * STRIDE + d] = row[d]; }
  }
  workgroupBarrier();
}

fn store_y(row: Row, head: u32, lane: u32) {
  for (var first = 0u; first < until(SIDE); first += ROWS) {
    spread(row, first, lane);
    for (var e = lane; e < tile_items(first); e += WG) {
      let token = tokens[first * SIDE + e / ITEMS];
      y[y_at(token, head) + e % ITEMS] = tile[LEFT + e / ITEMS * STRIDE + e % ITEMS];
    }
  }
}

fn store_gradient(row: Row, which: u32, head: u32, lane: u32) {
  for (var first = 0u; first < until(SIDE); first += ROWS) {
    spread(row, first, lane);
    for (var e = lane; e < tile_items(first); e += WG) {
      let token = tokens[first * SIDE + e / ITEMS];
      dqkv[qkv_at(token, which, head) + e % ITEMS] = tile[LEFT + e / ITEMS * STRIDE + e % ITEMS];
    }
  }
}

// row · tile[at …]
fn product_at(row: Row, at: u32) -> f32 {
  var sum = Item();
  for (var d = 0u; d < until(ITEMS); d++) { sum += row[d] * tile[at + d]; }
  return sum_of(sum);
}

// s_ij of a product that is scaled already
fn score_of(product: f32, i: u32, j: u32) -> f32 {
  return product + biases[offset_of(i, j)] + select(-100.0, 0.0, regions[i] == regions[j]);
}

fn row_product(a: Row, b: Row) -> f32 {
  var sum = Item();
  for (var d = 0u; d < ITEMS; d++) { sum += a[d] * b[d]; }
  return sum_of(sum);
}

fn scaled(row: Row, by: f32) -> Row {
  var to: Row;
  for (var d = 0u; d < until(ITEMS); d++) { to[d] = by * row[d]; }
  return to;
}
