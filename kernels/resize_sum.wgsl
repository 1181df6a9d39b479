// resize_sum: adds up to four maps to a base, each resized bilinearly to its size; no resized map is stored.
//
//   forward    y = base + Σ_k resize(m_k)         resize as in resize.wgsl, align_corners = false
//
// shapes    base, y [N, H, W, C], m_k [N, h_k, w_k, C], in items; maps after the `maps`-th are not read
// dispatch  a thread per item of y
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

fn extent(map: u32) -> vec2u {
  switch map {
    case 0u: { return vec2u(params.h0, params.w0); }
    case 1u: { return vec2u(params.h1, params.w1); }
    case 2u: { return vec2u(params.h2, params.w2); }
    default: { return vec2u(params.h3, params.w3); }
  }
}

fn load(map: u32, at: u32) -> Item {
  switch map {
    case 0u: { return m0[at]; }
    case 1u: { return m1[at]; }
    case 2u: { return m2[at]; }
    default: { return m3[at]; }
  }
}

// The two inputs along an axis between which an output lies, and the share of the second.
struct Between { low: u32, high: u32, f: f32 }

fn between(o: u32, size_in: u32, size_out: u32) -> Between {
  let over = (2u * o + 1u) * size_in;
  let at = select(0u, over - size_out, over > size_out);            // src · 2O of resize.wgsl
  let unit = 2u * size_out;
  let low = at / unit;
  return Between(low, min(low + 1u, size_in - 1u), f32(at - low * unit) / f32(unit));
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let id = flat_group(wg, grid) * WG + lane;
  let pixel = id / params.channels;
  let line = pixel / params.width;
  let image = line / params.height;
  if (image >= params.images) { return; }
  let channel = id - pixel * params.channels;
  var sum = base[id];
  for (var map = 0u; map < params.maps; map++) {
    let size = extent(map);
    let rows = between(line - image * params.height, size.x, params.height);
    let columns = between(pixel - line * params.width, size.y, params.width);
    for (var i = 0u; i < 2u; i++) {
      let row = (image * size.x + select(rows.low, rows.high, i == 1u)) * size.y;
      let left = load(map, (row + columns.low) * params.channels + channel);
      let right = load(map, (row + columns.high) * params.channels + channel);
      sum += mix(left, right, columns.f) * select(1.0 - rows.f, rows.f, i == 1u);
    }
  }
  y[id] = sum;
}
