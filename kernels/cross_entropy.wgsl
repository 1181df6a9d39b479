// cross_entropy: the mean negative log-likelihood of a pixel's class, over the pixels that have one.
//
//   forward    partials = Σ over a thread's pixels of (m − x[label] + log s, 1)
//              m = max(x)   s = Σ exp(x − m)
//   finish     loss = Σ losses / Σ ones, or 0 where no pixel has a class
//   backward   dx = (exp(x − m) / s − [class = label]) · dy / Σ ones, or 0 where the pixel has no class
//
// shapes    x, dx [P, C] · labels [P], 255 = none · softmax [P]: (m, s) · loss, dy [1]
//           partials [threads]: (loss, count, 0, 0) · totals [1]: their sum
// dispatch  forward: `threads` threads · finish: a workgroup · backward: a thread per pixel
// tuning    WG = threads in a workgroup; a power of two
// numerics  m and s stay apart, so that logits of any size keep the softmax's digits; a label that is neither
//           a class nor 255 makes the loss NaN
// uses      lib/index lib/partials
const WG = 64u;                 // tune: 8 32 64 128 256
const NONE = 255.0;

struct Params { pixels: u32, classes: u32, threads: u32, zero: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<f32>;
@group(0) @binding(3) var<storage, read_write> softmax: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> totals: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> loss: array<f32>;
@group(0) @binding(7) var<storage, read> saved_softmax: array<vec2f>;
@group(0) @binding(8) var<storage, read> saved_totals: array<vec4f>;
@group(0) @binding(9) var<storage, read> dy: array<f32>;
@group(0) @binding(10) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let thread = flat_group(wg, grid) * WG + lane;
  if (thread >= params.threads) { return; }
  var sum = vec4f(0.0);
  for (var pixel = thread; pixel < params.pixels; pixel += params.threads) {
    let row = pixel * params.classes;
    var top = x[row];
    for (var k = 1u; k < params.classes; k++) { top = max(top, x[row + k]); }
    var total = 0.0;
    for (var k = 0u; k < params.classes; k++) { total += exp(x[row + k] - top); }
    softmax[pixel] = vec2f(top, total);
    let label = labels[pixel];
    if (label == NONE) { continue; }
    if (label < 0.0 || label >= f32(params.classes)) {
      sum.x = bitcast<f32>(0x7fc00000u + params.zero);
      continue;
    }
    sum += vec4f(top - x[row + u32(label)] + log(total), 1.0, 0.0, 0.0);
  }
  partials[thread] = sum;
}

@compute @workgroup_size(WG)
fn finish(@builtin(local_invocation_index) lane: u32) {
  let sum = sum_partials(lane);
  if (lane > 0u) { return; }
  totals[0] = sum;
  loss[0] = sum.x / max(sum.y, 1.0);
}

@compute @workgroup_size(WG)
fn backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let pixel = flat_group(wg, grid) * WG + lane;
  if (pixel >= params.pixels) { return; }
  let row = pixel * params.classes;
  let label = labels[pixel];
  let normalizer = saved_softmax[pixel];
  let factor = select(dy[0] / max(saved_totals[0].y, 1.0), 0.0, label == NONE);
  for (var k = 0u; k < params.classes; k++) {
    let hit = select(0.0, 1.0, f32(k) == label);
    dx[row + k] = factor * (exp(x[row + k] - normalizer.x) / normalizer.y - hit);
  }
}
