// adamw: one step of AdamW on a range of the parameters' arena, in place.
//
//   g' = clip · g                  clip = factor · min(limit / (norm + 1e-6), 1)
//   m = β1 m + (1 − β1) g'         v = β2 v + (1 − β2) g'²
//   p = p − lr decay p             in blocks that decay
//   p = p − (lr / correction1) m / (√v / √correction2 + eps)
//
// Nothing changes where the norm is not finite.
//
// shapes    values, grads, exp_avg (m), exp_avg_sq (v) [count] as vec4 · norm [2]: norm, factor
//           flags [count / 64], a block of 64 each: 0 no update, 1 an update without decay, 2 one with decay
// dispatch  items of vec4
// tuning    WG = threads in a workgroup
// numerics  1 − β come from the host, as f32's 1 − 0.999 has lost four digits
// uses      lib/index lib/walk lib/live lib/clip
const WG = 64u;                 // tune: 8 32 64 128 256
const VECTORS_A_BLOCK = 16u;

struct Params {
  vectors: u32, beta1: f32, beta2: f32, new1: f32, new2: f32, eps: f32, decay: f32, clip: f32, walk: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> values: array<vec4f>;
@group(0) @binding(2) var<storage, read> grads: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> exp_avg: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> exp_avg_sq: array<vec4f>;
@group(0) @binding(5) var<storage, read> flags: array<u32>;
@group(0) @binding(6) var<storage, read> norm: array<f32>;

@compute @workgroup_size(WG)
fn update(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
          @builtin(local_invocation_index) lane: u32) {
  if (!is_finite(norm[0])) { return; }
  let clip = norm[1] * clip_factor(norm[0], params.clip);
  let step = live.lr / live.correction1;
  let root = 1.0 / sqrt(live.correction2);
  let own = walk(wg, grid, lane, params.vectors);
  for (var i = own.first; i < own.end; i += WG) {
    let flag = flags[i / VECTORS_A_BLOCK];
    if (flag == 0u) { continue; }
    let g = clip * grads[i];
    let m = params.beta1 * exp_avg[i] + params.new1 * g;
    let v = params.beta2 * exp_avg_sq[i] + params.new2 * g * g;
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    let p = values[i];
    let decayed = p - select(0.0, live.lr * params.decay, flag == 2u) * p;
    values[i] = decayed - step * (m / (root * sqrt(v) + params.eps));
  }
}
