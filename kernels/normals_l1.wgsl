// normals_l1: the mean absolute error of unit vectors, over the components that have a label.
//
//   forward    partials = Σ over a thread's pixels of (Σ |nⱼ − labelⱼ|, components)   n = x / (‖x‖ + eps)
//   finish     loss = Σ errors / Σ components, or 0 where there is none
//   backward   dx = (g − n · (g·x)/‖x‖) / (‖x‖ + eps)     the second term is 0 where x = 0
//              g = sign(n − label) · dy / Σ components, or 0 without a label
//
// shapes    x, dx [P, 3] · labels [B, 3, P/B], 255 = none · partials [threads]: (error, count, 0, 0)
//           totals [1]: the sum of the partials · loss, dy [1]
// dispatch  forward: `threads` threads · finish: a workgroup · backward: a thread per pixel
// tuning    WG = threads in a workgroup; a power of two
// uses      lib/index lib/partials
const WG = 64u;                 // tune: 8 32 64 128 256
const NONE = vec3f(255.0);
const EPS = 1e-12;

struct Params { pixels: u32, area: u32, threads: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<f32>;
@group(0) @binding(3) var<storage, read_write> partials: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> totals: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> loss: array<f32>;
@group(0) @binding(6) var<storage, read> saved_totals: array<vec4f>;
@group(0) @binding(7) var<storage, read> dy: array<f32>;
@group(0) @binding(8) var<storage, read_write> dx: array<f32>;

fn vector(pixel: u32) -> vec3f { return vec3f(x[3u * pixel], x[3u * pixel + 1u], x[3u * pixel + 2u]); }

// the labels of an image lie as three planes
fn target_of(pixel: u32) -> vec3f {
  let at = pixel + 2u * (pixel / params.area) * params.area;
  return vec3f(labels[at], labels[at + params.area], labels[at + 2u * params.area]);
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let thread = flat_group(wg, grid) * WG + lane;
  if (thread >= params.threads) { return; }
  var sum = vec2f(0.0);
  for (var pixel = thread; pixel < params.pixels; pixel += params.threads) {
    let v = vector(pixel);
    let label = target_of(pixel);
    let labelled = select(vec3f(0.0), vec3f(1.0), label != NONE);
    sum += vec2f(dot(labelled, abs(v / (length(v) + EPS) - label)), dot(labelled, vec3f(1.0)));
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
  let pixel = flat_group(wg, grid) * WG + lane;
  if (pixel >= params.pixels) { return; }
  let v = vector(pixel);
  let norm = length(v);
  let n = v / (norm + EPS);
  let label = target_of(pixel);
  let g = select(vec3f(0.0), sign(n - label), label != NONE) * (dy[0] / max(saved_totals[0].y, 1.0));
  let along = select(0.0, dot(g, v) / norm, norm > 0.0);
  let gradient = (g - n * along) / (norm + EPS);
  for (var j = 0u; j < 3u; j++) { dx[3u * pixel + j] = gradient[j]; }
}
