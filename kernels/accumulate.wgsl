// accumulate: adds a micro-batch's gradient to the sum of the step's, in place; the first one replaces it.
//
//   total = factor · fresh where live.fresh = 1, else total + factor · fresh
//
// shapes    total, fresh [count], padded to whole vec4; the padding of total stays 0
// dispatch  items of vec4
// tuning    WG = threads in a workgroup
// uses      lib/index lib/walk lib/live
const WG = 64u;                 // tune: 8 32 64 128 256

struct Params { count: u32, factor: f32, walk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> total: array<vec4f>;
@group(0) @binding(2) var<storage, read> fresh: array<vec4f>;

@compute @workgroup_size(WG)
fn add(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
       @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, (params.count + 3u) / 4u);
  for (var i = own.first; i < own.end; i += WG) {
    let here = vec4u(i * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.count);
    let before = select(total[i], vec4f(0.0), live.fresh == 1u);
    total[i] = select(vec4f(0.0), before + params.factor * fresh[i], here);
  }
}
