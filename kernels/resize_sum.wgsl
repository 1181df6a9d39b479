// resize_sum: adds up to four maps to a base, each resized bilinearly to its size; no resized map is stored.
//
//   forward    y = base + Σ_k resize(m_k)         resize as in resize.wgsl, align_corners = false
//
// shapes    base, y [N, H, W, C], m_k [N, h_k, w_k, C], in items; maps after the `maps`-th are not read
// dispatch  a thread per row of an image and item of its channels; it walks the row and keeps, of each map,
//           the two vertically interpolated texels between which it stands
// tuning    WG = threads in a workgroup; Item = what is moved at once
// uses      lib/index
const WG = 64u;                 // tune: 8 32 64 128
alias Item = vec4f;             // tune: vec4f f32

struct Params {
  images: u32, height: u32, width: u32, channels: u32, maps: u32,
  h0: u32, w0: u32, h1: u32, w1: u32, h2: u32, w2: u32, h3: u32, w3: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> base: array<Item>;
@group(0) @binding(2) var<storage, read> m0: array<Item>;
@group(0) @binding(3) var<storage, read> m1: array<Item>;
@group(0) @binding(4) var<storage, read> m2: array<Item>;
@group(0) @binding(5) var<storage, read> m3: array<Item>;
@group(0) @binding(6) var<storage, read_write> y: array<Item>;

// Two rows of a map, blended by `f`, and where in them the walk stands: between columns `low` and `low` + 1.
struct Walk { map: u32, width: u32, upper: u32, lower: u32, f: f32, low: u32, left: Item, right: Item }

// src · 2O of resize.wgsl
fn position(o: u32, size_in: u32, size_out: u32) -> u32 {
  let over = (2u * o + 1u) * size_in;
  return select(0u, over - size_out, over > size_out);
}

fn load(map: u32, at: u32) -> Item {
  switch map {
    case 0u: { return m0[at]; }
    case 1u: { return m1[at]; }
    case 2u: { return m2[at]; }
    default: { return m3[at]; }
  }
}

fn texel(walk: Walk, column: u32) -> Item {
  let at = min(column, walk.width - 1u) * params.channels;
  let above = load(walk.map, walk.upper + at);
  return above + (load(walk.map, walk.lower + at) - above) * walk.f;
}

fn start(map: u32, height: u32, width: u32, image: u32, row: u32, channel: u32) -> Walk {
  let at = position(row, height, params.height);
  let unit = 2u * params.height;
  let above = at / unit;
  let stride = width * params.channels;
  let origin = image * height * stride + channel;
  var walk = Walk(map, width, origin + above * stride, origin + min(above + 1u, height - 1u) * stride,
                  f32(at - above * unit) / f32(unit), 0u, Item(0.0), Item(0.0));
  walk.left = texel(walk, 0u);
  walk.right = texel(walk, 1u);
  return walk;
}

fn step_to(walk: ptr<function, Walk>, column: u32) -> Item {
  let at = position(column, (*walk).width, params.width);
  let unit = 2u * params.width;
  while (at >= ((*walk).low + 1u) * unit) {
    (*walk).low++;
    (*walk).left = (*walk).right;
    (*walk).right = texel(*walk, (*walk).low + 1u);
  }
  return (*walk).left + ((*walk).right - (*walk).left) * (f32(at - (*walk).low * unit) / f32(unit));
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let id = flat_group(wg, grid) * WG + lane;
  let line = id / params.channels;
  let image = line / params.height;
  if (image >= params.images) { return; }
  let channel = id - line * params.channels;
  let row = line - image * params.height;
  let first = line * params.width * params.channels + channel;
  var walk0 = start(0u, params.h0, params.w0, image, row, channel);
  var walk1 = Walk();
  var walk2 = Walk();
  var walk3 = Walk();
  if (params.maps > 1u) { walk1 = start(1u, params.h1, params.w1, image, row, channel); }
  if (params.maps > 2u) { walk2 = start(2u, params.h2, params.w2, image, row, channel); }
  if (params.maps > 3u) { walk3 = start(3u, params.h3, params.w3, image, row, channel); }
  for (var column = 0u; column < params.width; column++) {
    let at = first + column * params.channels;
    var sum = base[at] + step_to(&walk0, column);
    if (params.maps > 1u) { sum += step_to(&walk1, column); }
    if (params.maps > 2u) { sum += step_to(&walk2, column); }
    if (params.maps > 3u) { sum += step_to(&walk3, column); }
    y[at] = sum;
  }
}
