// concat: moves a block of columns between tensors of different width, seen as [rows, width].
//
//   place    y[row, first + k] = x[row, k]               k < part: concat puts each input in its place
//   take     y[row, k] = x[row, first + k]               slice, and the gradient of place
//   pad      y[row, k] = x[row, k − first], 0 elsewhere  the gradient of take
//
// shapes    whole [rows, whole], part [rows, part], in items; x and y are the one and the other
// dispatch  items of the part (place, take) or of the whole (pad)
// tuning    WG = threads in a workgroup; Item = what is moved at once
// uses      lib/index lib/walk
const WG = 64u;                 // tune: 8 32 64 128 256
alias Item = vec4f;             // tune: vec4f f32

struct Params { rows: u32, whole: u32, part: u32, first: u32, walk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Item>;
@group(0) @binding(2) var<storage, read_write> y: array<Item>;

// where item `i` of the part is in the whole
fn in_whole(i: u32) -> u32 { return i / params.part * params.whole + params.first + i % params.part; }

@compute @workgroup_size(WG)
fn place(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
         @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, params.rows * params.part);
  for (var i = own.first; i < own.end; i += WG) { y[in_whole(i)] = x[i]; }
}

@compute @workgroup_size(WG)
fn take(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, params.rows * params.part);
  for (var i = own.first; i < own.end; i += WG) { y[i] = x[in_whole(i)]; }
}

@compute @workgroup_size(WG)
fn pad(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
       @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, params.rows * params.whole);
  for (var i = own.first; i < own.end; i += WG) {
    let column = i % params.whole - params.first;             // wraps round before the block
    if (column < params.part) {
      y[i] = x[i / params.whole * params.part + column];
    } else {
      y[i] = Item(0.0);
    }
  }
}
