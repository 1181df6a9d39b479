// weighted_total: the loss of all tasks, y = Σ wₜ lₜ, summed in the order of the tasks.
//
// shapes    l0 … l5, y [1]; an unused l is any other buffer, with weight 0
// dispatch  a thread
const WG = 1u;

struct Params { count: u32, w0: f32, w1: f32, w2: f32, w3: f32, w4: f32, w5: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> l0: array<f32>;
@group(0) @binding(2) var<storage, read> l1: array<f32>;
@group(0) @binding(3) var<storage, read> l2: array<f32>;
@group(0) @binding(4) var<storage, read> l3: array<f32>;
@group(0) @binding(5) var<storage, read> l4: array<f32>;
@group(0) @binding(6) var<storage, read> l5: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

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
