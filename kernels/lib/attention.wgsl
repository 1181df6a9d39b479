// attention: what the plain kernels of window attention share. The tokens of a window attend to each other:
//
//   s_ij = scale · q_i·k_j + table[offset(i, j)] + mask(i, j)
//   mask(i, j) is −100 between tokens that only the shift made neighbours, else 0
//
// shapes    qkv [B, H, W, 3C], the last axis (q|k|v, head, head dim) · dy [B, H, W, C]
//           table [(2 SIDE − 1)², heads] · lse, delta [windows, heads, AREA]
//           the head dim lies as ITEMS items of four channels where it is a multiple of 4, else of one
// The kernel has the constants SIDE, WIDTH and ITEMS and the alias Item, and uses lib/window too.
struct Params {
  windows: u32, heads: u32, height: u32, width: u32, shift: u32, scale: f32, run: u32, runs: u32, zero: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<Item>;
@group(0) @binding(2) var<storage, read> dy: array<Item>;
@group(0) @binding(3) var<storage, read> table: array<f32>;
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;
@group(0) @binding(5) var<storage, read_write> delta: array<f32>;

const AREA = SIDE * SIDE;
alias Row = array<Item, ITEMS>;
const Q = 0u;
const K = 1u;
const V = 2u;

fn y_at(token: u32, head: u32) -> u32 { return (token * params.heads + head) * ITEMS; }
fn qkv_at(token: u32, which: u32, head: u32) -> u32 { return y_at(3u * token + which, head); }

fn sum_of(v: Item) -> f32 {
  let four = vec4f(v);                                       // an f32 is repeated
  return select(four.x, dot(four, vec4f(1.0)), WIDTH == 4u);
}

// of two rows of qkv, read where they lie, in a loop that no driver unrolls: else it compiles for seconds
fn product(a: u32, b: u32) -> f32 {
  var sum = Item();
  for (var d = 0u; d < ITEMS + params.zero; d++) { sum += qkv[a + d] * qkv[b + d]; }
  return sum_of(sum);
}
// of a row of dy and one of qkv
fn product_dy(a: u32, b: u32) -> f32 {
  var sum = Item();
  for (var d = 0u; d < ITEMS + params.zero; d++) { sum += dy[a + d] * qkv[b + d]; }
  return sum_of(sum);
}

fn score(q: u32, k: u32, win: Window, head: u32, i: u32, j: u32) -> f32 {
  let mask = select(-100.0, 0.0, region_of(win, i) == region_of(win, j));
  return params.scale * product(q, k) + table[offset_of(i, j) * params.heads + head] + mask;
}
