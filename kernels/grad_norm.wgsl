// grad_norm: the L2 norm of the gradients of all parameters that are updated, over ranges of the arena.
//
//   sum_squares   partials[start + thread] = Σ g² over the thread's share of a range's blocks with a flag
//   finish        norm = (√Σ partials, 1); skipped grows by 1 where that is not finite
//   finish_scaled   of gradients of a loss times s: norm = (√Σ partials / s, 1 / s). Where that is not finite
//                 s is halved, after `interval` good steps in a row it is doubled
//
// shapes    grads [count] as vec4 · flags [count / 64]: 0 where a block of 64 has no part · skipped [1]
//           partials [threads of all ranges] · norm [2]: the norm, and a gradient's factor that goes with it
//           scaling [2]: the bits of s, good steps since it changed
// dispatch  sum_squares: `threads` threads · finish, finish_scaled: a workgroup
// tuning    WG = threads in a workgroup; a power of two
// numerics  four sums a thread, then a tree: the error grows with the terms of one thread, not of all
// uses      lib/index lib/row_sum lib/clip
const WG = 64u;                 // tune: 8 32 64 128 256
const VECTORS_A_BLOCK = 16u;
const LARGEST_SCALE = 16777216.0;

struct Params { vectors: u32, threads: u32, start: u32, interval: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grads: array<vec4f>;
@group(0) @binding(2) var<storage, read> flags: array<u32>;
@group(0) @binding(3) var<storage, read_write> partials: array<f32>;
@group(0) @binding(4) var<storage, read_write> norm: array<f32>;
@group(0) @binding(5) var<storage, read_write> skipped: array<u32>;
@group(0) @binding(6) var<storage, read_write> scaling: array<u32>;

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

fn root(lane: u32) -> f32 {
  var share = 0.0;
  for (var i = lane; i < params.threads; i += WG) { share += partials[i]; }
  return sqrt(row_sum(share, lane));
}

@compute @workgroup_size(WG)
fn finish(@builtin(local_invocation_index) lane: u32) {
  let total = root(lane);
  if (lane > 0u) { return; }
  norm[0] = total;
  norm[1] = 1.0;
  if (!is_finite(total)) { skipped[0] += 1u; }
}

@compute @workgroup_size(WG)
fn finish_scaled(@builtin(local_invocation_index) lane: u32) {
  let scaled = root(lane);
  if (lane > 0u) { return; }
  let scale = bitcast<f32>(scaling[0]);
  let total = scaled / scale;
  norm[0] = total;
  norm[1] = 1.0 / scale;
  if (!is_finite(total)) {
    skipped[0] += 1u;
    scaling[0] = bitcast<u32>(0.5 * scale);
    scaling[1] = 0u;
    return;
  }
  let good = scaling[1] + 1u;
  if (good == params.interval) { scaling[0] = bitcast<u32>(min(2.0 * scale, LARGEST_SCALE)); }
  scaling[1] = select(good, 0u, good == params.interval);
}
