// keep: which elements a random op keeps, four at a time, each with probability 1 − threshold/2³². The draw
// depends on nothing but the seed, the op's stream, the step and the place: backward draws the same again.
// Needs lib/live and lib/philox.

// keeps these draws apart from the loader's, which has the same seed
const ON_THE_DEVICE = 1u;

// four random u32 for the n-th time
fn draw_of(stream: u32, place: u32, n: u32) -> vec4u {
  return philox(vec4u(place, live.step, n, ON_THE_DEVICE), vec2u(live.seed, stream));
}

fn keep(stream: u32, vector: u32, threshold: u32) -> vec4<bool> {
  return draw_of(stream, vector, 0u) >= vec4u(threshold);
}
