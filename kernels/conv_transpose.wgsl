// conv_transpose: where a transposed convolution's products go; its stride is its kernel, so none overlap.
//
//   spread   y[image, row·tall + i, column·wide + j, c] = col[(image, row, column), (c, i, j)]
//   collect  dcol[(image, row, column), (c, i, j)] = dy[image, row·tall + i, column·wide + j, c]
//
// shapes    y, dy [images, height · tall, width · wide, channels]
//           col, dcol [images · height · width, channels · tall · wide]
// dispatch  a thread per element of what is written
// tuning    WG = threads in a workgroup
// uses      lib/index
const WG = 64u;                 // tune: 8 32 64 128

struct Params { images: u32, height: u32, width: u32, channels: u32, tall: u32, wide: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> col: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dcol: array<f32>;

fn elements() -> u32 {
  return params.images * params.height * params.width * params.channels * params.tall * params.wide;
}

@compute @workgroup_size(WG)
fn spread(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
          @builtin(local_invocation_index) lane: u32) {
  let id = flat_group(wg, grid) * WG + lane;
  if (id >= elements()) { return; }
  let channel = id % params.channels;
  let pixel = id / params.channels;
  let column = pixel % (params.width * params.wide);
  let line = pixel / (params.width * params.wide);       // of all images, each tall · height lines
  let cell = line / params.tall * params.width + column / params.wide;
  let tap = line % params.tall * params.wide + column % params.wide;
  y[id] = col[(cell * params.channels + channel) * params.tall * params.wide + tap];
}

@compute @workgroup_size(WG)
fn collect(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let id = flat_group(wg, grid) * WG + lane;
  if (id >= elements()) { return; }
  let j = id % params.wide;
  let i = id / params.wide % params.tall;
  let entry = id / (params.wide * params.tall);
  let channel = entry % params.channels;
  let cell = entry / params.channels;
  let line = cell / params.width * params.tall + i;
  let column = cell % params.width * params.wide + j;
  dcol[id] = dy[(line * params.width * params.wide + column) * params.channels + channel];
}
