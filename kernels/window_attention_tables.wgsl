// window_attention_tables: the gradients of many relative position bias tables in one launch.
//
//   forward   y[to + (offset, head)] = Σ part over the runs and the pairs i, j with that offset, in order: as
//             window_attention_table/backward
//
// shapes    as in lib/gathered: parts [runs, heads, AREA, AREA], outputs [(2 SIDE − 1)², heads] of each table
// dispatch  a workgroup per chunk of outputs
// tuning    WG = threads in a workgroup · SIDE of a window: the op sets it
// uses      lib/index lib/gathered
const WG = 64u;                 // tune: 8 16 32 64
const SIDE = 7u;                // tune: 7
const AREA = SIDE * SIDE;
const SPAN = 2u * SIDE - 1u;

struct Params { count: u32, chunks: u32 }
@group(0) @binding(0) var<uniform> params: Params;

// keys along an axis, from and to, that a query `offset − (SIDE − 1)` further on sees within the window
fn first_key(offset: u32) -> u32 { return SIDE - 1u - min(offset, SIDE - 1u); }
fn end_key(offset: u32) -> u32 { return min(SIDE, 2u * SIDE - 1u - offset); }

// over the pairs of one run and head
fn pairs(start: u32, down: u32, across: u32, before: f32) -> f32 {
  var sum = before;
  for (var y = first_key(down); y < end_key(down); y++) {
    for (var x = first_key(across); x < end_key(across); x++) {
      let query = (y + down + 1u - SIDE) * SIDE + x + across + 1u - SIDE;
      sum += parts[start + query * AREA + y * SIDE + x];
    }
  }
  return sum;
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let group = flat_group(wg, grid);
  if (group >= params.chunks) { return; }
  let chunk = chunk_of(group);
  let own = sum_of(chunk);
  let place = sums[2u * own];
  let runs = sums[2u * own + 1u].x;
  let heads = sums[2u * own + 1u].y;
  let first = (chunk - place.x) * CHUNK;
  for (var i = first + lane; i < min(first + CHUNK, place.w); i += WG) {
    let offset = i / heads;
    var sum = 0.0;
    for (var run = 0u; run < runs; run++) {
      let start = place.y + (run * heads + i % heads) * AREA * AREA;
      sum = pairs(start, offset / SPAN, offset % SPAN, sum);
    }
    y[place.z + i] = sum;
  }
}
