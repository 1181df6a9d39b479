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

// Which elements of a word have a number that reaches the threshold: 32 numbers at once, the highest bit of
// all first, four bits to a draw. Most are decided after a few.
fn kept_of(stream: u32, word: u32, threshold: u32) -> u32 {
  var above = 0u;
  var open = 0xffffffffu;                                  // as the threshold so far
  for (var draw = 0u; draw < 8u && open != 0u; draw++) {
    let drawn = draw_of(stream, word, draw);
    for (var e = 0u; e < 4u; e++) {
      let limit = select(0u, 0xffffffffu, ((threshold >> (31u - 4u * draw - e)) & 1u) == 1u);
      above |= open & drawn[e] & ~limit;
      open &= ~(drawn[e] ^ limit);
    }
  }
  return above | open;
}

@compute @workgroup_size(WG)
fn draw_bits(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
             @builtin(local_invocation_index) lane: u32) {
  let chunk = flat_group(wg, grid);
  if (chunk >= params.chunks) { return; }
  let mask = mask_of(chunk);
  let first = (chunk - mask.x) * BITS_CHUNK;
  for (var i = lane; i < BITS_CHUNK; i += WG) {
    bits[chunk * BITS_CHUNK + i] = kept_of(mask.y, first + i, mask.z);
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
