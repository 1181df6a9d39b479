// residual: adds a branch to its residual, sample by sample, for all streams at once.
//
//   forward        y[g, b] = x[g or 0, b] + branch[g, b]           without x from stream residual_streams on
//   forward_masked y[g, b] = x[g or 0, b] + mask[g, b] · branch[g, b]
//   scale          y[g, b] = mask[g, b] · branch[g, b]              and the gradient of branch, of dy
//   sum_streams    dx[b] = Σ dy[g, b] over the first `residual_streams` streams
//
// shapes    branch, y, dy [G, B, inner] · x [1 or G, B, inner] · dx [B, inner] · mask [G, B]
//           sizes are counted in Value: x_count = all of x, y_count = all of y, stream = B · inner
// dispatch  items of Value of y, or of dx
// tuning    WG = threads in a workgroup · Value = f32 where inner is no multiple of 4
// uses      lib/index lib/walk
const WG = 64u;                 // tune: 8 32 64 128 256
alias Value = vec4f;            // tune: vec4f f32

struct Params { x_count: u32, y_count: u32, stream: u32, inner: u32, residual_streams: u32, walk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Value>;
@group(0) @binding(2) var<storage, read> branch: array<Value>;
@group(0) @binding(3) var<storage, read> mask: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<Value>;
@group(0) @binding(5) var<storage, read> dy: array<Value>;
@group(0) @binding(6) var<storage, read_write> dx: array<Value>;

// Which block of `length` items an item lies in, on a walk: drivers on a CPU divide vectors number by number,
// so only the first item of one is divided for.
struct Cursor { block: u32, start: u32 }

fn cursor_at(i: u32, length: u32) -> Cursor {
  let block = i / length;
  return Cursor(block, block * length);
}

fn advance(at: ptr<function, Cursor>, i: u32, length: u32) {
  while (i - (*at).start >= length) {
    (*at).block += 1u;
    (*at).start += length;
  }
}

// `start` is where the copy of x begins that i lies in
fn residual_of(i: u32, start: u32) -> Value {
  if (i >= params.residual_streams * params.stream) { return Value(0.0); }
  return x[i - start];
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, params.y_count);
  var copy = cursor_at(own.first, params.x_count);
  for (var i = own.first; i < own.end; i += WG) {
    advance(&copy, i, params.x_count);
    y[i] = residual_of(i, copy.start) + branch[i];
  }
}

@compute @workgroup_size(WG)
fn forward_masked(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
                  @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, params.y_count);
  var copy = cursor_at(own.first, params.x_count);
  var sample = cursor_at(own.first, params.inner);
  for (var i = own.first; i < own.end; i += WG) {
    advance(&copy, i, params.x_count);
    advance(&sample, i, params.inner);
    y[i] = residual_of(i, copy.start) + mask[sample.block] * branch[i];
  }
}

@compute @workgroup_size(WG)
fn scale(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
         @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, params.y_count);
  var sample = cursor_at(own.first, params.inner);
  for (var i = own.first; i < own.end; i += WG) {
    advance(&sample, i, params.inner);
    y[i] = mask[sample.block] * branch[i];
  }
}

@compute @workgroup_size(WG)
fn sum_streams(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
               @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, params.stream);
  for (var i = own.first; i < own.end; i += WG) {
    var sum = dy[i];
    for (var g = 1u; g < params.residual_streams; g++) { sum += dy[g * params.stream + i]; }
    dx[i] = sum;
  }
}
