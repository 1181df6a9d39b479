// weighted_total: the loss of all tasks.
//
//   forward    y = Σ wₜ lₜ, summed in the order of the tasks
//   backward   dl[t] = wₜ dy
//
// shapes    l0 … l5, y, dy [1]; an unused l is any other buffer, with weight 0
//           dl [6 · APART]: a loss' own gradient can be bound by itself
// dispatch  a thread
const WG = 1u;
const APART = 64u;

struct Params { count: u32, w0: f32, w1: f32, w2: f32, w3: f32, w4: f32, w5: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> l0: array<f32>;
@group(0) @binding(2) var<storage, read> l1: array<f32>;
@group(0) @binding(3) var<storage, read> l2: array<f32>;
@group(0) @binding(4) var<storage, read> l3: array<f32>;
@group(0) @binding(5) var<storage, read> l4: array<f32>;
@group(0) @binding(6) var<storage, read> l5: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;
@group(0) @binding(8) var<storage, read> dy: array<f32>;
@group(0) @binding(9) var<storage, read_write> dl: array<f32>;

@compute @workgroup_size(WG)
fn forward() {
  var total = params.w0 * l0[0];
  if (params.count > 1u) { total += params.w1 * l1[0]; }
  if (params.count > 2u) { total += params.w2 * l2[0]; }
  if (params.count > 3u) { total += params.w3 * l3[0]; }
  if (params.count > 4u) { total += params.w4 * l4[0]; }
  if (params.count > 5u) { total += params.w5 * l5[0]; }
  y[0] = total;
}

@compute @workgroup_size(WG)
fn backward() {
  dl[0] = params.w0 * dy[0];
  dl[APART] = params.w1 * dy[0];
  dl[2u * APART] = params.w2 * dy[0];
  dl[3u * APART] = params.w3 * dy[0];
  dl[4u * APART] = params.w4 * dy[0];
  dl[5u * APART] = params.w5 * dy[0];
}
