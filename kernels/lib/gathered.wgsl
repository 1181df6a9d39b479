// gathered: second passes of many gradients in one launch, out of partial sums. A gradient has whole chunks
// of work, so that a workgroup's outputs are of one. Needs Params with count and chunks.
const CHUNK = 64u;

// (first chunk, from, to, outputs), (runs, what else a kernel wants to know, 0, 0) of each, by first chunk
@group(0) @binding(1) var<storage, read> sums: array<vec4u>;
@group(0) @binding(2) var<storage, read> parts: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// the last one that begins at a chunk or before it
fn sum_of(chunk: u32) -> u32 {
  var low = 0u;
  var high = params.count;
  while (high - low > 1u) {
    let middle = (low + high) / 2u;
    if (sums[2u * middle].x <= chunk) { low = middle; } else { high = middle; }
  }
  return low;
}

// The chunk of a workgroup. Drivers on a CPU give half of the workgroups to either of two cores: both are to
// have their share of the gradients that are sums over many runs, which lie side by side.
fn chunk_of(group: u32) -> u32 {
  let half = (params.chunks + 1u) / 2u;
  return select(2u * (group - half) + 1u, 2u * group, group < half);
}
