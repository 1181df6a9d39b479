// gathered_sums: second passes of many sums in one launch: each over runs, in their order.
//
//   forward   y[to + i] = Σ_run parts[from + run · columns + i]
//
// A sum has whole chunks of work, so that a workgroup's columns are of one.
//
// shapes    sums [count] of two rows: (first chunk, from, to, columns), (runs, 0, 0, 0), by first chunk
//           parts, y: of floats, all sums' together
// dispatch  a workgroup per chunk of CHUNK columns
// tuning    WG = threads in a workgroup
// uses      lib/index
const WG = 64u;                 // tune: 8 16 32 64
const CHUNK = 64u;

struct Params { count: u32, chunks: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> sums: array<vec4u>;
@group(0) @binding(2) var<storage, read> parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// the last sum that begins at a chunk or before it
fn sum_of(chunk: u32) -> u32 {
  var low = 0u;
  var high = params.count;
  while (high - low > 1u) {
    let middle = (low + high) / 2u;
    if (sums[2u * middle].x <= chunk) { low = middle; } else { high = middle; }
  }
  return low;
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let chunk = flat_group(wg, grid);
  if (chunk >= params.chunks) { return; }
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
