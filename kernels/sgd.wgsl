// sgd: one step of gradient descent with Nesterov momentum μ on a range of the parameters' arena, in place.
//
//   g' = clip · g + decay p        clip = factor · min(limit / (norm + 1e-6), 1); decay in blocks that decay
//   m = μ m + g'                   p = p − lr (g' + μ m)
//
// Nothing changes where the norm is not finite.
//
// shapes    values, grads, momentum (m) [count] as vec4 · norm [2]: norm, factor
//           flags [count / 64], a block of 64 each: 0 no update, 1 an update without decay, 2 one with decay
// dispatch  items of vec4
// tuning    WG = threads in a workgroup
// uses      lib/index lib/walk lib/live lib/clip
const WG = 64u;                 // tune: 8 32 64 128 256
const VECTORS_A_BLOCK = 16u;

struct Params { vectors: u32, factor: f32, decay: f32, clip: f32, walk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> values: array<vec4f>;
@group(0) @binding(2) var<storage, read> grads: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> momentum: array<vec4f>;
@group(0) @binding(4) var<storage, read> flags: array<u32>;
@group(0) @binding(5) var<storage, read> norm: array<f32>;

@compute @workgroup_size(WG)
fn update(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
          @builtin(local_invocation_index) lane: u32) {
  if (!is_finite(norm[0])) { return; }
  let clip = norm[1] * clip_factor(norm[0], params.clip);
  let own = walk(wg, grid, lane, params.vectors);
  for (var i = own.first; i < own.end; i += WG) {
    let flag = flags[i / VECTORS_A_BLOCK];
    if (flag == 0u) { continue; }
    let p = values[i];
    let g = clip * grads[i] + select(0.0, params.decay, flag == 2u) * p;
    let m = params.factor * momentum[i] + g;
    momentum[i] = m;
    values[i] = p - live.lr * (g + params.factor * m);
  }
}
