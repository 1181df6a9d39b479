// balanced_bce: binary cross-entropy of logits, with positives and negatives weighted by w and 1 − w.
//
//   forward    partials = Σ over a thread's pixels of (positive losses, negative losses, positives, 0)
//              a pixel's loss is log(1 + exp(−|x|)) − x (y − [x ≥ 0])     y = [label ≥ ½]
//   finish     loss = (w Σ positive losses + (1 − w) Σ negative losses) / P
//              w = weight, or the share of negatives among the P pixels where weight < 0
//   backward   dx = dy / P · (w (σ(x) − 1) where y = 1, (1 − w) σ(x) where y = 0)
//
// shapes    x, labels, dx [P], padded to whole vec4 · loss, dy [1] · partials [threads]
//           totals [1]: (w, 0, 0, 0)
// dispatch  forward: `threads` threads · finish: a workgroup · backward: a thread per vec4
// tuning    WG = threads in a workgroup; a power of two
// numerics  exp only of numbers below 0: no logit overflows, and neither σ(x) nor 1 − σ(x) cancels
// uses      lib/index lib/partials
const WG = 64u;                 // tune: 8 32 64 128 256

struct Params { pixels: u32, threads: u32, weight: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> totals: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> loss: array<f32>;
@group(0) @binding(6) var<storage, read> saved_totals: array<vec4f>;
@group(0) @binding(7) var<storage, read> dy: array<f32>;
@group(0) @binding(8) var<storage, read_write> dx: array<vec4f>;

// 1 for the elements of vector i that are pixels, 0 for the padding
fn present(i: u32) -> vec4f {
  return select(vec4f(0.0), vec4f(1.0), vec4u(i * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.pixels));
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let thread = flat_group(wg, grid) * WG + lane;
  if (thread >= params.threads) { return; }
  var sum = vec3f(0.0);
  for (var i = thread; i * 4u < params.pixels; i += params.threads) {
    let here = present(i) > vec4f(0.0);
    let v = select(vec4f(0.0), x[i], here);
    let positive = select(vec4f(0.0), vec4f(1.0), here & (labels[i] >= vec4f(0.5)));
    let negative = present(i) - positive;
    let above = select(vec4f(0.0), vec4f(1.0), v >= vec4f(0.0));
    let losses = log(1.0 + exp(-abs(v))) - v * (positive - above);
    sum += vec3f(dot(positive, losses), dot(negative, losses), dot(positive, vec4f(1.0)));
  }
  partials[thread] = vec4f(sum, 0.0);
}

@compute @workgroup_size(WG)
fn finish(@builtin(local_invocation_index) lane: u32) {
  let sum = sum_partials(lane);
  if (lane > 0u) { return; }
  let pixels = f32(params.pixels);
  let weight = select(params.weight, (pixels - sum.z) / pixels, params.weight < 0.0);
  totals[0] = vec4f(weight, 0.0, 0.0, 0.0);
  loss[0] = (weight * sum.x + (1.0 - weight) * sum.y) / pixels;
}

@compute @workgroup_size(WG)
fn backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(wg, grid) * WG + lane;
  if (i * 4u >= params.pixels) { return; }
  let v = x[i];
  let weight = saved_totals[0].x;
  let positive = labels[i] >= vec4f(0.5);
  // σ(|v|) is 1/(1 + e) and σ(−|v|) is e/(1 + e); a positive's slope is −σ(−v), a negative's σ(v)
  let e = exp(-abs(v));
  let upward = select(v, -v, positive) >= vec4f(0.0);
  let share = select(e, vec4f(1.0), upward) / (1.0 + e);
  let slope = select((1.0 - weight) * share, -weight * share, positive);
  dx[i] = dy[0] / f32(params.pixels) * slope;
}
