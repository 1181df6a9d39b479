// drawn_masks: all random masks that a program asks for, in one launch.
//
//   draw_bits     a bit for each element, set where it is kept: element i is bit i % 32 of word i / 32
//   draw_factors  the mask's factor for each element that is kept, else 0
//
// A mask has whole chunks of the output, so that it can be bound by itself: what it asks for and a rest.
//
// shapes    masks [count] of (first chunk, stream, threshold, bits of the factor), by first chunk
//           bits [chunks · BITS_CHUNK] · factors [chunks · FACTORS_CHUNK] of vec4
// dispatch  a workgroup per chunk
// tuning    WG = threads in a workgroup
// uses      lib/index lib/live lib/philox lib/keep
const WG = 64u;                 // tune: 8 16 32 64
const BITS_CHUNK = 512u;
const FACTORS_CHUNK = 16u;

struct Params { count: u32, chunks: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> masks: array<vec4u>;
@group(0) @binding(2) var<storage, read_write> bits: array<u32>;
@group(0) @binding(3) var<storage, read_write> factors: array<vec4f>;

// the last mask that begins at a chunk or before it
fn mask_of(chunk: u32) -> vec4u {
  var low = 0u;
  var high = params.count;
  while (high - low > 1u) {
    let middle = (low + high) / 2u;
    if (masks[middle].x <= chunk) { low = middle; } else { high = middle; }
  }
  return masks[low];
}

@compute @workgroup_size(WG)
fn draw_bits(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
             @builtin(local_invocation_index) lane: u32) {
  let chunk = flat_group(wg, grid);
  if (chunk >= params.chunks) { return; }
  let mask = mask_of(chunk);
  let first = (chunk - mask.x) * BITS_CHUNK;
  for (var i = lane; i < BITS_CHUNK; i += WG) {
    var word = 0u;
    for (var quad = 0u; quad < 8u; quad++) {
      let keeps = keep(mask.y, 8u * (first + i) + quad, mask.z);
      let kept = select(vec4u(0u), vec4u(1u, 2u, 4u, 8u), keeps);
      word |= (kept.x | kept.y | kept.z | kept.w) << (4u * quad);
    }
    bits[chunk * BITS_CHUNK + i] = word;
  }
}

@compute @workgroup_size(WG)
fn draw_factors(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
                @builtin(local_invocation_index) lane: u32) {
  let chunk = flat_group(wg, grid);
  if (chunk >= params.chunks) { return; }
  let mask = mask_of(chunk);
  let first = (chunk - mask.x) * FACTORS_CHUNK;
  for (var i = lane; i < FACTORS_CHUNK; i += WG) {
    let factor = vec4f(bitcast<f32>(mask.w));
    factors[chunk * FACTORS_CHUNK + i] = select(vec4f(0.0), factor, keep(mask.y, first + i, mask.z));
  }
}
