// merge_patches: concatenates 2×2 neighbours along the channels. A permutation, so backward is the way back.
//
//   forward    y[b, i, j, q, c] = x[b, 2i + q mod 2, 2j + ⌊q/2⌋, c]      q = 0 … 3: (row, column) 00 10 01 11
//   backward   dx at the place of x = dy at the place of y
//
// shapes    x, dx [B, 2·down, 2·across, C] · y, dy [B, down, across, 4·C], in items: of four channels where
//           C is a multiple of 4, else of one
// dispatch  items of y
// tuning    WG = threads in a workgroup · Item: the op chooses it by C
// uses      lib/index lib/walk
const WG = 64u;                 // tune: 8 32 64 128 256
alias Item = vec4f;             // tune: vec4f f32

struct Params { images: u32, down: u32, across: u32, items: u32, walk: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Item>;
@group(0) @binding(2) var<storage, read_write> y: array<Item>;
@group(0) @binding(3) var<storage, read> dy: array<Item>;
@group(0) @binding(4) var<storage, read_write> dx: array<Item>;

fn all() -> u32 { return params.images * params.down * params.across * 4u * params.items; }

// where item `to` of y comes from in x
fn source(to: u32) -> u32 {
  let quarter = to / params.items % 4u;
  let merged = to / (params.items * 4u);
  let j = merged % params.across;
  let row = 2u * (merged / params.across) + quarter % 2u;       // rows of all images lie one below the other
  return ((row * params.across + j) * 2u + quarter / 2u) * params.items + to % params.items;
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, all());
  for (var to = own.first; to < own.end; to += WG) { y[to] = x[source(to)]; }
}

@compute @workgroup_size(WG)
fn backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let own = walk(wg, grid, lane, all());
  for (var to = own.first; to < own.end; to += WG) { dx[source(to)] = dy[to]; }
}
