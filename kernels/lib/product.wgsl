// product: what becomes of a sum of a matrix product on its way into y, for the tile form of matmul.
struct Params {
  m: u32, n: u32, k: u32, batch: u32, a_at: u32, a_batch: u32, a_row: u32, a_col: u32, b_at: u32,
  b_batch: u32, b_row: u32, b_col: u32, y_at: u32, y_batch: u32, y_row: u32, bias_batch: u32,
  scale: f32, accumulate: u32, has_bias: u32, mask_on: u32, mask_row: u32, run: u32, splits: u32, zero: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read> mask: array<u32>;

// 1 where the mask keeps element `at`, else 0
fn kept(at: u32) -> f32 { return f32((mask[at >> 5u] >> (at & 31u)) & 1u); }

fn finished(g: u32, m: u32, n: u32, total: f32) -> f32 {
  var value = params.scale * total;
  if (params.mask_on == 3u) { value *= kept(m * params.mask_row + n); }
  if (params.has_bias == 1u) { value += bias[g * params.bias_batch + n]; }
  return value;
}

fn y_at(g: u32, m: u32, n: u32) -> u32 { return params.y_at + g * params.y_batch + m * params.y_row + n; }

fn store(g: u32, m: u32, n: u32, total: f32) {
  let before = select(0.0, y[y_at(g, m, n)], params.accumulate == 1u);
  y[y_at(g, m, n)] = finished(g, m, n, total) + before;
}
