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
//   relu     y = max(a, 0)
//   relu_backward   y = b where a > 0, else 0
//
// shapes    a, b, y [count], padded to whole vec4
// dispatch  a thread per vec4
// tuning    WG = threads in a workgroup
// uses      lib/index
const WG = 64u;                 // tune: 8 32 64 128 256

struct Params { count: u32, value: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

fn item(wg: vec3u, grid: vec3u, lane: u32) -> u32 { return flat_group(wg, grid) * WG + lane; }
fn outside(i: u32) -> bool { return i * 4u >= params.count; }

// erf by a series and, further out, a fraction: cheaper than W. J. Cody's rational forms, off by 2e-7 at most
fn erf1(x: f32) -> f32 {
  let v = abs(x);
  if (v < 0.9) {                                  // Taylor: Σ (−1)ⁿ x²ⁿ⁺¹ / (n! (2n+1))
    let t = v * v;
    let s = 1.0 + t * (-0.33333333333 + t * (0.1 + t * (-0.0238095238 + t * (0.00462962963
          + t * (-0.000757575758 + t * (0.000106837607 + t * (-0.0000132275132 + t * 0.00000145891690)))))));
    return sign(x) * 1.12837916709551 * v * s;
  }
  // Abramowitz and Stegun 7.1.28 loses digits in f32; Numerical Recipes' erfc by Chebyshev does not
  let t = 1.0 / (1.0 + 0.5 * v);
  let p = -v * v - 1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806
        + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
  return sign(x) * (1.0 - t * exp(p));
}
fn cdf(v: vec4f) -> vec4f {
  let u = v * 0.70710678118654752;
  return 0.5 * (1.0 + vec4f(erf1(u.x), erf1(u.y), erf1(u.z), erf1(u.w)));
}

@compute @workgroup_size(WG)
fn fill(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = item(wg, grid, lane);
  if (outside(i)) { return; }
  y[i] = vec4f(params.value);
}

@compute @workgroup_size(WG)
fn copy(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = item(wg, grid, lane);
  if (outside(i)) { return; }
  y[i] = a[i];
}

@compute @workgroup_size(WG)
fn add(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
       @builtin(local_invocation_index) lane: u32) {
  let i = item(wg, grid, lane);
  if (outside(i)) { return; }
  y[i] = a[i] + b[i];
}

@compute @workgroup_size(WG)
fn multiply(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let i = item(wg, grid, lane);
  if (outside(i)) { return; }
  y[i] = a[i] * b[i];
}

@compute @workgroup_size(WG)
fn scale_by(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let i = item(wg, grid, lane);
  if (outside(i)) { return; }
  y[i] = b[0].x * a[i];
}

@compute @workgroup_size(WG)
fn scale(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
         @builtin(local_invocation_index) lane: u32) {
  let i = item(wg, grid, lane);
  if (outside(i)) { return; }
  y[i] = params.value * a[i];
}

@compute @workgroup_size(WG)
fn gelu(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = item(wg, grid, lane);
  if (outside(i)) { return; }
  y[i] = a[i] * cdf(a[i]);
}

@compute @workgroup_size(WG)
fn gelu_backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
                 @builtin(local_invocation_index) lane: u32) {
  let i = item(wg, grid, lane);
  if (outside(i)) { return; }
  let v = a[i];
  y[i] = b[i] * (cdf(v) + v * 0.39894228040143268 * exp(-0.5 * v * v));
}

@compute @workgroup_size(WG)
fn relu(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let i = item(wg, grid, lane);
  if (outside(i)) { return; }
  y[i] = max(a[i], vec4f(0.0));
}

@compute @workgroup_size(WG)
fn relu_backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
                 @builtin(local_invocation_index) lane: u32) {
  let i = item(wg, grid, lane);
  if (outside(i)) { return; }
  y[i] = select(vec4f(0.0), b[i], a[i] > vec4f(0.0));
}
