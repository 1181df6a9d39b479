// trial: random content for the inputs of a kernel, and how far two results of one lie apart.
//
//   fill      x[i] of a number of i and seed alone.  kind 0: f32 in [−1, 1) · 1: two f16 so · 2: any u32 ·
//             3: a whole f32 below `below`
//   compare   parts[t] = (max |x − y|, Σ y², how many of x and y are finite in one alone, in both) over every
//             threads-th element from t on; of kind 2: (1 where any bit differs, n, 0, n)
//
// shapes    x, y [count] words of 32 bits · parts [threads]
// dispatch  fill: a thread per 4 words · compare: `threads` threads
// tuning    WG = threads in a workgroup
// numerics  f32; NaNs and infinities by their bits, as a compiler may assume that arithmetic meets none
// uses      lib/index
const WG = 64u;                 // tune: 8 32 64 128

struct Params { count: u32, kind: u32, seed: u32, below: f32, threads: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> filled: array<vec4u>;
@group(0) @binding(2) var<storage, read> x: array<u32>;
@group(0) @binding(3) var<storage, read> y: array<u32>;
@group(0) @binding(4) var<storage, read_write> parts: array<vec4f>;

// pcg4d of Jarzynski and Olano, Hash Functions for GPU Rendering, 2020
fn scrambled(numbers: vec4u) -> vec4u {
  var v = mixed(numbers * 1664525u + 1013904223u);
  v ^= v >> vec4u(16u);
  return mixed(v);
}

fn mixed(numbers: vec4u) -> vec4u {
  var v = numbers;
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  return v;
}

@compute @workgroup_size(WG)
fn fill(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(wg, grid) * WG + lane;
  if (i >= (params.count + 3u) / 4u) { return; }
  let words = scrambled(vec4u(4u * i, 4u * i + 1u, 4u * i + 2u, params.seed));
  let part = vec4f(words >> vec4u(8u)) / 16777216.0;                        // in [0, 1)
  let even = 2.0 * part - 1.0;
  var content = words;
  if (params.kind == 0u) { content = bitcast<vec4u>(even); }
  if (params.kind == 1u) {
    let odd = even.yzwx;
    for (var j = 0u; j < 4u; j++) { content[j] = pack2x16float(vec2f(even[j], odd[j])); }
  }
  if (params.kind == 3u) { content = bitcast<vec4u>(floor(part * params.below)); }
  filled[i] = content;
}

const EXPONENT = 0x7f800000u;
fn is_finite(v: f32) -> bool { return (bitcast<u32>(v) & EXPONENT) != EXPONENT; }

fn values_of(word: u32) -> vec2f {
  if (params.kind == 1u) { return unpack2x16float(word); }
  return vec2f(bitcast<f32>(word), 0.0);
}

@compute @workgroup_size(WG)
fn compare(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let thread = flat_group(wg, grid) * WG + lane;
  if (thread >= params.threads) { return; }
  var found = vec4f(0.0);
  for (var i = thread; i < params.count; i += params.threads) {
    if (params.kind == 2u) {
      found += vec4f(0.0, 1.0, 0.0, 1.0);
      found.x = max(found.x, f32(x[i] != y[i]));
      continue;
    }
    let left = values_of(x[i]);
    let right = values_of(y[i]);
    for (var j = 0u; j < select(1u, 2u, params.kind == 1u); j++) {
      let finite = vec2<bool>(is_finite(left[j]), is_finite(right[j]));
      if (all(finite)) {
        found += vec4f(0.0, right[j] * right[j], 0.0, 1.0);
        found.x = max(found.x, abs(left[j] - right[j]));
      } else if (any(finite)) {
        found.z += 1.0;
      }
    }
  }
  parts[thread] = found;
}
