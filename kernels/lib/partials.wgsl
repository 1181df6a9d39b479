// partials: the second pass of a loss. Adds what the threads of its first pass left, in a fixed order.
// The kernel declares params.threads, partials [threads], WG (a power of two) and dispatches one workgroup.
var<workgroup> scratch: array<vec4f, WG>;

fn sum_partials(lane: u32) -> vec4f {
  var sum = vec4f(0.0);
  for (var i = lane; i < params.threads; i += WG) { sum += partials[i]; }
  scratch[lane] = sum;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (lane < half) { scratch[lane] += scratch[lane + half]; }
    workgroupBarrier();
  }
  return scratch[0];
}
