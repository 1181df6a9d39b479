// patch_embed: lays the pixels of each patch side by side, so that its convolution becomes a matmul.
//
//   forward   y[b, py, px, (c, ky, kx)] = x[b, c, py·p + ky, px·p + kx]
//   backward  dx[b, c, py·p + ky, px·p + kx] = dy[b, py, px, (c, ky, kx)]
//
// shapes    x, dx [B, channels, H, W] · y, dy [B, H/p, W/p, channels·p·p], in items along kx: of four pixels
//           where p is a multiple of 4, else of one
// dispatch  a thread per item
// tuning    WG = threads in a workgroup · Item: the op chooses it by p
// uses      lib/index
const WG = 64u;                 // tune: 8 32 64 128 256
alias Item = vec4f;             // tune: vec4f f32

// down, across: patches of an image; rows: of a patch; items: of a row of a patch
struct Params { images: u32, channels: u32, down: u32, across: u32, rows: u32, items: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Item>;
@group(0) @binding(2) var<storage, read_write> y: array<Item>;
@group(0) @binding(3) var<storage, read> dy: array<Item>;
@group(0) @binding(4) var<storage, read_write> dx: array<Item>;

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let at = flat_group(wg, grid) * WG + lane;
  if (at >= item_count()) { return; }
  y[at] = x[pixel_of(at)];
}

@compute @workgroup_size(WG)
fn backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let at = flat_group(wg, grid) * WG + lane;
  if (at >= item_count()) { return; }
  dx[pixel_of(at)] = dy[at];
}

fn item_count() -> u32 {
  return params.images * params.down * params.across * params.channels * params.rows * params.items;
}

// where item `at` of the patches lies in the images
fn pixel_of(at: u32) -> u32 {
  let item = at % params.items;
  let ky = at / params.items % params.rows;
  let c = at / (params.items * params.rows) % params.channels;
  let patch_index = at / (params.items * params.rows * params.channels);
  let px = patch_index % params.across;
  let py = patch_index / params.across % params.down;
  let image = patch_index / (params.across * params.down);
  let row = ((image * params.channels + c) * params.down + py) * params.rows + ky;
  return (row * params.across + px) * params.items + item;
}
