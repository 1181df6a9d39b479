// unfold: the columns of a convolution of stride 1, so that it becomes a matrix product.
//
//   unfold   col[p, (c, i, j)] = x[image, row + i·dilation − padding, column + j·dilation − padding, c] or 0
//   fold     dx[image, row, column, c] = Σ_{i, j} dcol[p, (c, i, j)] of those p that read this pixel   (+ dx)
//
// shapes    x, dx [images, height, width, channels] · col, dcol [count, channels · tall · wide], whose rows
//           are output pixels from `first` on: p = (image, row, column) of [images, out_height, out_width]
// dispatch  unfold: a thread per output pixel and channel · fold: a thread per element of dx
// tuning    WG = threads in a workgroup
// uses      lib/index
const WG = 64u;                 // tune: 8 32 64 128

struct Params {
  images: u32, height: u32, width: u32, channels: u32, out_height: u32, out_width: u32, tall: u32, wide: u32,
  dilation: u32, padding: u32, first: u32, count: u32, accumulate: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> col: array<f32>;
@group(0) @binding(3) var<storage, read> dcol: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(WG)
fn unfold(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
          @builtin(local_invocation_index) lane: u32) {
  let id = flat_group(wg, grid) * WG + lane;
  if (id >= params.count * params.channels) { return; }
  let pixel = params.first + id / params.channels;
  let channel = id % params.channels;
  let column = pixel % params.out_width;
  let row = pixel / params.out_width % params.out_height;
  let image = pixel / params.out_width / params.out_height;
  let taps = params.tall * params.wide;
  for (var i = 0u; i < params.tall; i++) {
    // unsigned: what lies before the first row or column wraps round to far behind the last
    let y = row + i * params.dilation - params.padding;
    for (var j = 0u; j < params.wide; j++) {
      let at = column + j * params.dilation - params.padding;
      var value = 0.0;
      if (y < params.height && at < params.width) {
        value = x[((image * params.height + y) * params.width + at) * params.channels + channel];
      }
      col[id * taps + i * params.wide + j] = value;
    }
  }
}

@compute @workgroup_size(WG)
fn fold(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
        @builtin(local_invocation_index) lane: u32) {
  let id = flat_group(wg, grid) * WG + lane;
  if (id >= params.images * params.height * params.width * params.channels) { return; }
  let channel = id % params.channels;
  let pixel = id / params.channels;
  let column = pixel % params.width;
  let row = pixel / params.width % params.height;
  let image = pixel / params.width / params.height;
  let taps = params.tall * params.wide;
  var sum = 0.0;
  for (var i = 0u; i < params.tall; i++) {
    let y = row + params.padding - i * params.dilation;
    for (var j = 0u; j < params.wide; j++) {
      let at = column + params.padding - j * params.dilation;
      if (y >= params.out_height || at >= params.out_width) { continue; }
      let p = (image * params.out_height + y) * params.out_width + at - params.first;
      if (p < params.count) { sum += dcol[(p * params.channels + channel) * taps + i * params.wide + j]; }
    }
  }
  if (params.accumulate == 1u) { sum += dx[id]; }
  dx[id] = sum;
}
