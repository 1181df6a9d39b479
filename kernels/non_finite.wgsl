// non_finite: where a tensor first holds a NaN or an infinity.
//
//   forward   first[at] = min i with x[i] not finite, else 2³² − 1, which first holds at the start
//
// shapes    x [count] · first [checks]
// dispatch  a thread per RUN values
// tuning    WG = threads in a workgroup; RUN = values of a thread
// numerics  by the bits, as a compiler may assume that arithmetic meets no NaN
// uses      lib/index
const WG = 64u;                 // tune: 8 32 64 128
const RUN = 256u;               // tune: 64 256 1024

struct Params { count: u32, at: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> first: array<atomic<u32>>;

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let start = (flat_group(wg, grid) * WG + lane) * RUN;
  for (var i = start; i < min(start + RUN, params.count); i++) {
    if ((bitcast<u32>(x[i]) & 0x7f800000u) == 0x7f800000u) {
      atomicMin(&first[params.at], i);
      return;
    }
  }
}
