// depth_l1: the mean absolute error, over the pixels that have a label.
//
//   forward    partials = Σ over a thread's pixels of (|x − label|, 1)
//   finish     loss = Σ errors / Σ ones, or 0 where no pixel has a label
//   backward   dx = sign(x − label) · dy / Σ ones, or 0 where the pixel has no label
//
// shapes    x, labels, dx [P], padded to whole vec4; a label of 255 is none · loss, dy [1]
//           partials [threads]: (error, count, 0, 0) · totals [1]: their sum
// dispatch  forward: `threads` threads · finish: a workgroup · backward: a thread per vec4
// tuning    WG = threads in a workgroup; a power of two
// uses      lib/index lib/partials
const WG = 64u;                 // tune: 8 32 64 128 256
const NONE = vec4f(255.0);

struct Params { pixels: u32, threads: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> labels: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> totals: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> loss: array<f32>;
@group(0) @binding(6) var<storage, read> saved_totals: array<vec4f>;
@group(0) @binding(7) var<storage, read> dy: array<f32>;
@group(0) @binding(8) var<storage, read_write> dx: array<vec4f>;

// which elements of vector i are pixels with a label
fn labelled(i: u32) -> vec4<bool> {
  return (vec4u(i * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.pixels)) & (labels[i] != NONE);
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let thread = flat_group(wg, grid) * WG + lane;
  if (thread >= params.threads) { return; }
  var sum = vec2f(0.0);
  for (var i = thread; i * 4u < params.pixels; i += params.threads) {
    let errors = select(vec4f(0.0), abs(x[i] - labels[i]), labelled(i));
    sum += vec2f(dot(errors, vec4f(1.0)), dot(select(vec4f(0.0), vec4f(1.0), labelled(i)), vec4f(1.0)));
  }
  partials[thread] = vec4f(sum, 0.0, 0.0);
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
  let i = flat_group(wg, grid) * WG + lane;
  if (i * 4u >= params.pixels) { return; }
  let factor = dy[0] / max(saved_totals[0].y, 1.0);
  dx[i] = select(vec4f(0.0), factor * sign(x[i] - labels[i]), labelled(i));
}
