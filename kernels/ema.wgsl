// ema: moves the averages of the parameters' arena towards the parameters, in place.
//
//   a = a + s (p − a)              s = max(share, 9 / (10 + t))        t = step / micro: updates before this
//
// The share of the new starts large, so that a short run's average soon forgets where it started.
//
// shapes    values (p), averages (a) [count] as vec4
// dispatch  items of vec4
// tuning    WG = threads in a workgroup
// numerics  share = 1 − decay comes from the host, as f32's 1 − 0.9999 has lost four digits
// uses      lib/index lib/walk lib/live
const WG = 64u;                 // tune: 8 32 64 128 256

struct Params { vectors: u32, share: f32, micro: u32, walk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> values: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> averages: array<vec4f>;

@compute @workgroup_size(WG)
fn update(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
          @builtin(local_invocation_index) lane: u32) {
  let t = f32(live.step / params.micro);
  let share = max(params.share, 9.0 / (10.0 + t));
  let own = walk(wg, grid, lane, params.vectors);
  for (var i = own.first; i < own.end; i += WG) { averages[i] += share * (values[i] - averages[i]); }
}
