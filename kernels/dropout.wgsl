// dropout: keeps each element with probability 1 − p and scales what it keeps by 1 / (1 − p).
//
//   forward    y = x / (1 − p) where kept, else 0; the gradient is the same function of dy
//
// shapes    x, y [count], padded to whole vec4
// dispatch  items of vec4
// tuning    WG = threads in a workgroup
// uses      lib/index lib/walk lib/live lib/philox lib/keep
const WG = 64u;                 // tune: 8 32 64 128 256

struct Params { count: u32, stream: u32, threshold: u32, factor: f32, walk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, (params.count + 3u) / 4u);
  for (var i = own.first; i < own.end; i += WG) {
    y[i] = select(vec4f(0.0), params.factor * x[i], keep(params.stream, i, params.threshold));
  }
}
