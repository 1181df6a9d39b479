// elementwise: the arithmetic that is one value in, one value out.
//
//   fill     y = value
//   copy     y = a
//   add      y = a + b
//   multiply y = a · b
//   scale    y = value · a
//   scale_by y = b₀ · a         b a single value on the device
//   gelu     y = a · Φ(a)          Φ(v) = ½ (1 + erf(v/√2)), the exact form
//   gelu_backward   y = b · (Φ(a) + a φ(a))      a the input, b = dy, φ the normal density
//   gelu_both       gelu_backward, and again = gelu
//   relu     y = max(a, 0)
//   relu_backward   y = b where a > 0, else 0
//
// shapes    a, b, y, again [count], padded to whole vec4
// dispatch  items of vec4
// tuning    WG = threads in a workgroup
// numerics  erf is off by 1.5e-7 at most, as Φ is then by half of that
// uses      lib/index lib/walk
const WG = 64u;                 // tune: 8 32 64 128 256

struct Params { count: u32, value: f32, walk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> again: array<vec4f>;

fn vectors() -> u32 { return (params.count + 3u) / 4u; }

// e^(−v²/2), which Φ and φ share
fn bell(v: vec4f) -> vec4f { return exp(-0.5 * v * v); }

// Φ by Abramowitz and Stegun 7.1.26, whose terms of t keep their digits in f32
fn cdf(v: vec4f, bell: vec4f) -> vec4f {
  let t = 1.0 / (1.0 + 0.23164189 * abs(v));                 // 0.3275911 / √2
  let tail = 0.5 * bell * t * (0.254829592 + t * (-0.284496736 + t * (1.421413741
           + t * (-1.453152027 + t * 1.061405429))));
  return select(1.0 - tail, tail, v < vec4f(0.0));
}
// Φ(v) and the derivative of v · Φ(v)
struct Gelu { phi: vec4f, slope: vec4f }
fn gelu_at(v: vec4f) -> Gelu {
  let e = bell(v);
  let phi = cdf(v, e);
  return Gelu(phi, phi + v * 0.39894228040143268 * e);
}

@compute @workgroup_size(WG)
fn fill(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, vectors());
  for (var i = own.first; i < own.end; i += WG) { y[i] = vec4f(params.value); }
}

@compute @workgroup_size(WG)
fn copy(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, vectors());
  for (var i = own.first; i < own.end; i += WG) { y[i] = a[i]; }
}

@compute @workgroup_size(WG)
fn add(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
       @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, vectors());
  for (var i = own.first; i < own.end; i += WG) { y[i] = a[i] + b[i]; }
}

@compute @workgroup_size(WG)
fn multiply(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, vectors());
  for (var i = own.first; i < own.end; i += WG) { y[i] = a[i] * b[i]; }
}

@compute @workgroup_size(WG)
fn scale_by(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, vectors());
  for (var i = own.first; i < own.end; i += WG) { y[i] = b[0].x * a[i]; }
}

@compute @workgroup_size(WG)
fn scale(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
         @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, vectors());
  for (var i = own.first; i < own.end; i += WG) { y[i] = params.value * a[i]; }
}

@compute @workgroup_size(WG)
fn gelu(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, vectors());
  for (var i = own.first; i < own.end; i += WG) { y[i] = a[i] * cdf(a[i], bell(a[i])); }
}

@compute @workgroup_size(WG)
fn gelu_backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
                 @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, vectors());
  for (var i = own.first; i < own.end; i += WG) { y[i] = b[i] * gelu_at(a[i]).slope; }
}

@compute @workgroup_size(WG)
fn gelu_both(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
             @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, vectors());
  for (var i = own.first; i < own.end; i += WG) {
    let v = a[i];
    let gelu = gelu_at(v);
    y[i] = b[i] * gelu.slope;
    again[i] = v * gelu.phi;
  }
}

@compute @workgroup_size(WG)
fn relu(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, vectors());
  for (var i = own.first; i < own.end; i += WG) { y[i] = max(a[i], vec4f(0.0)); }
}

@compute @workgroup_size(WG)
fn relu_backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
                 @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, vectors());
  for (var i = own.first; i < own.end; i += WG) { y[i] = select(vec4f(0.0), b[i], a[i] > vec4f(0.0)); }
}
