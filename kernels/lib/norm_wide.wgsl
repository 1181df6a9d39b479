// norm_wide: the backward pass of layernorm over rows wider than a lane can hold, block by
// block. Needs lib/norm_rows, which says what a kernel gives.

// rows of a block of wide ones, which share the loads of w, b and the partial sums
const BLOCK = 16u;

// mean, 1/σ, mean(g), mean(g·n) of a wide row
fn wide_moments(row: u32, base: u32, lane: u32) -> vec4f {
  let moments = stats[row];
  var sum_g = vec4f();
  var sum_gn = vec4f();
  for (var i = lane; i < params.items; i += LANES) {
    let g = dy[row * params.items + i] * w[i];
    sum_g += g;
    sum_gn += g * norm_of(base, i, moments);
  }
  return vec4f(moments, vec2f(total(sum_g), total(sum_gn)) / f32(params.channels));
}

fn wide_backward(run: u32, lane: u32) {
  var moments: array<vec4f, BLOCK>;
  var places: array<Place, BLOCK>;
  for (var first = run * params.run; first < end_of(run); first += BLOCK) {
    let end = min(first + BLOCK, end_of(run));
    for (var row = first; row < end; row++) {
      let place = place_of(row);
      places[row - first] = place;
      moments[row - first] = wide_moments(row, place.base, lane);
    }
    for (var i = lane; i < params.items; i += LANES) {
      let at = run * params.items + i;
      let scale = w[i];
      let shift = shift_of(i);
      let starts = first == run * params.run;
      var sum_w = select(part_w[at], vec4f(), starts);
      var sum_b = select(part_b[at], vec4f(), starts);
      for (var row = first; row < end; row++) {
        let m = moments[row - first];
        let place = places[row - first];
        let n = norm_of(place.base, i, m.xy);
        let d = dy[row * params.items + i];
        sum_w += d * n;
        sum_b += d;
        put(place, i, m.y * (d * scale - m.z - n * m.w), n * scale + shift);
      }
      part_w[at] = sum_w;
      part_b[at] = sum_b;
    }
  }
}
