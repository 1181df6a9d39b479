// resize: bilinear interpolation along one axis, align_corners = false. Two axes are two passes.
//
//   src = max(0, (o + ½)·I/O − ½)     i0 = ⌊src⌋     i1 = min(i0 + 1, I − 1)     f = src − i0
//   forward    y[o] = (1 − f)·x[i0] + f·x[i1]
//   backward   dx[i] = Σ_o hat(o, i)·dy[o]      hat = max(0, 1 − |src − i|), 1 beyond the ends
//
// shapes    x, dx [outer, I, inner], y, dy [outer, O, inner], in items
// dispatch  forward: a thread per column and RUN outputs of it · backward: a thread per item of dx
// tuning    WG = threads in a workgroup; RUN = outputs a thread: each row of x is then loaded about once;
//           Item = what is moved at once
// numerics  positions are whole numbers of 1/(2O), so that no weight suffers from the size of its coordinate
// uses      lib/index
const WG = 64u;                 // tune: 8 32 64 128 256
const RUN = 16u;                // tune: 4 8 16 32 64
alias Item = vec4f;             // tune: vec4f f32

struct Params { outer: u32, inner: u32, size_in: u32, size_out: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Item>;
@group(0) @binding(2) var<storage, read_write> y: array<Item>;
@group(0) @binding(3) var<storage, read> dy: array<Item>;
@group(0) @binding(4) var<storage, read_write> dx: array<Item>;

// src · 2O
fn position(o: u32) -> u32 {
  let over = (2u * o + 1u) * params.size_in;
  return select(0u, over - params.size_out, over > params.size_out);
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let id = flat_group(wg, grid) * WG + lane;
  let runs = (params.size_out + RUN - 1u) / RUN;
  let block = id / params.inner;
  let outer = block / runs;
  if (outer >= params.outer) { return; }
  let column = id - block * params.inner;
  let source = outer * params.size_in * params.inner + column;
  let target_row = outer * params.size_out * params.inner + column;
  let unit = 2u * params.size_out;
  let last = params.size_in - 1u;
  let begin = (block - outer * runs) * RUN;
  var low = position(begin) / unit;
  var a = x[source + low * params.inner];
  var b = x[source + min(low + 1u, last) * params.inner];
  for (var o = begin; o < min(begin + RUN, params.size_out); o++) {
    let at = position(o);
    while (at >= (low + 1u) * unit) {
      low++;
      a = b;
      b = x[source + min(low + 1u, last) * params.inner];
    }
    y[target_row + o * params.inner] = a + (b - a) * (f32(at - low * unit) / f32(unit));
  }
}

@compute @workgroup_size(WG)
fn backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let id = flat_group(wg, grid) * WG + lane;
  let block = id / params.inner;
  let outer = block / params.size_in;
  if (outer >= params.outer) { return; }
  let column = id - block * params.inner;
  let i = block - outer * params.size_in;
  let source = outer * params.size_out * params.inner + column;
  // the outputs with i − 1 < src < i + 1, and perhaps one more whose weight is 0
  let begin = select(0u, (2u * i - 1u) * params.size_out / params.size_in / 2u, i > 0u);
  let end = min(params.size_out, ((2u * i + 3u) * params.size_out / params.size_in + 1u) / 2u);
  var sum = Item(0.0);
  for (var o = begin; o < end; o++) {
    // (src − i) · 2O
    let apart = i32((2u * o + 1u) * params.size_in) - i32((2u * i + 1u) * params.size_out);
    let beyond = (i == 0u && apart < 0) || (i == params.size_in - 1u && apart > 0);
    let hat = max(0.0, 1.0 - abs(f32(apart)) / f32(2u * params.size_out));
    sum += dy[source + o * params.inner] * select(hat, 1.0, beyond);
  }
  dx[id] = sum;
}
