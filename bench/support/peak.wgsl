// peak: what a device can do at most: multiplications and additions that depend on nothing but registers.
//
//   multiply_add   twelve chains of a ← a·x + y, eight links of each in a step       fused   the same by fma()
//   copy           y = x, each workgroup a run of `steps` · WG vec4
//
// shapes    y [threads], so that nothing is optimised away; copy: x, y [runs · steps · WG] of vec4
// dispatch  a thread per value of y; copy: a workgroup per run
const WG = 64u;                 // tune: 8 64 256

struct Params { steps: u32, x: f32, add: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read> source: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> copied: array<vec4f>;

@compute @workgroup_size(WG)
fn multiply_add(@builtin(global_invocation_id) at: vec3u) {
  let x = vec4f(params.x);
  let add = vec4f(params.add);
  var a = vec4f(f32(at.x));
  var b = a + 1.0;
  var c = a + 2.0;
  for (var i = 0u; i < params.steps; i++) {
    a = a * x + add; b = b * x + add; c = c * x + add;
    a = a * x + add; b = b * x + add; c = c * x + add;
    a = a * x + add; b = b * x + add; c = c * x + add;
    a = a * x + add; b = b * x + add; c = c * x + add;
    a = a * x + add; b = b * x + add; c = c * x + add;
    a = a * x + add; b = b * x + add; c = c * x + add;
    a = a * x + add; b = b * x + add; c = c * x + add;
    a = a * x + add; b = b * x + add; c = c * x + add;
  }
  y[at.x] = dot(a + b + c, vec4f(1.0));
}

@compute @workgroup_size(WG)
fn fused(@builtin(global_invocation_id) at: vec3u) {
  let x = vec4f(params.x);
  let add = vec4f(params.add);
  var a = vec4f(f32(at.x));
  var b = a + 1.0;
  var c = a + 2.0;
  for (var i = 0u; i < params.steps; i++) {
    a = fma(a, x, add); b = fma(b, x, add); c = fma(c, x, add);
    a = fma(a, x, add); b = fma(b, x, add); c = fma(c, x, add);
    a = fma(a, x, add); b = fma(b, x, add); c = fma(c, x, add);
    a = fma(a, x, add); b = fma(b, x, add); c = fma(c, x, add);
    a = fma(a, x, add); b = fma(b, x, add); c = fma(c, x, add);
    a = fma(a, x, add); b = fma(b, x, add); c = fma(c, x, add);
    a = fma(a, x, add); b = fma(b, x, add); c = fma(c, x, add);
    a = fma(a, x, add); b = fma(b, x, add); c = fma(c, x, add);
  }
  y[at.x] = dot(a + b + c, vec4f(1.0));
}

@compute @workgroup_size(WG)
fn copy(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let start = wg.x * params.steps * WG + lane;
  for (var i = 0u; i < params.steps; i++) { copied[start + i * WG] = source[start + i * WG]; }
}
