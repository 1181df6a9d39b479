// grad_norm: the L2 norm of the gradients of all parameters that are updated, over ranges of the arena.
//
//   sum_squares   partials[start + thread] = Σ g² over the thread's share of a range's blocks with a flag
//   finish        norm = √Σ partials; skipped grows by 1 where it is not finite
//
// shapes    grads [count] as vec4 · flags [count / 64]: 0 where a block of 64 has no part · norm, skipped [1]
//           partials [threads of all ranges]
// dispatch  sum_squares: `threads` threads · finish: a workgroup
// tuning    WG = threads in a workgroup; a power of two
// numerics  four sums a thread, then a tree: the error grows with the terms of one thread, not of all
// uses      lib/index lib/row_sum lib/clip
const WG = 64u;                 // tune: 8 32 64 128 256
const VECTORS_A_BLOCK = 16u;

struct Params { vectors: u32, threads: u32, start: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grads: array<vec4f>;
@group(0) @binding(2) var<storage, read> flags: array<u32>;
@group(0) @binding(3) var<storage, read_write> partials: array<f32>;
@group(0) @binding(4) var<storage, read_write> norm: array<f32>;
@group(0) @binding(5) var<storage, read_write> skipped: array<u32>;

@compute @workgroup_size(WG)
fn sum_squares(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
               @builtin(local_invocation_index) lane: u32) {
  let thread = flat_group(wg, grid) * WG + lane;
  if (thread >= params.threads) { return; }
  var sum = vec4f(0.0);
  for (var i = thread; i < params.vectors; i += params.threads) {
    if (flags[i / VECTORS_A_BLOCK] != 0u) { sum += grads[i] * grads[i]; }
  }
  partials[params.start + thread] = (sum.x + sum.y) + (sum.z + sum.w);
}

@compute @workgroup_size(WG)
fn finish(@builtin(local_invocation_index) lane: u32) {
  var share = 0.0;
  for (var i = lane; i < params.threads; i += WG) { share += partials[i]; }
  let total = sqrt(row_sum(share, lane));
  if (lane > 0u) { return; }
  norm[0] = total;
  if (!is_finite(total)) { skipped[0] += 1u; }
}
