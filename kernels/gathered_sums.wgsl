// gathered_sums: second passes of many sums in one launch: each over runs, in their order.
//
//   forward   y[to + i] = Σ_run parts[from + run · outputs + i]
//
// shapes    as in lib/gathered
// dispatch  a workgroup per chunk of outputs
// tuning    WG = threads in a workgroup
// uses      lib/index lib/gathered
const WG = 64u;                 // tune: 8 16 32 64

struct Params { count: u32, chunks: u32 }
@group(0) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let group = flat_group(wg, grid);
  if (group >= params.chunks) { return; }
  let chunk = chunk_of(group);
  let own = sum_of(chunk);
  let place = sums[2u * own];
  let runs = sums[2u * own + 1u].x;
  let first = (chunk - place.x) * CHUNK;
  for (var i = first + lane; i < min(first + CHUNK, place.w); i += WG) {
    var sum = 0.0;
    for (var run = 0u; run < runs; run++) { sum += parts[place.y + run * place.w + i]; }
    y[place.z + i] = sum;
  }
}
