// walk: which items a thread takes where the host gives `items`: every WG-th of the walk · WG items that are
// its workgroup's. On GPUs that is one. Drivers on a CPU run few long walks three times as fast.
// Needs lib/index, WG and params.walk, which the engine sets.
//
//   let own = walk(wg, grid, lane, items);
//   for (var i = own.first; i < own.end; i += WG) { … }
struct Walk { first: u32, end: u32 }

fn walk(wg: vec3u, grid: vec3u, lane: u32, items: u32) -> Walk {
  let start = flat_group(wg, grid) * params.walk * WG;
  return Walk(start + lane, min(items, start + params.walk * WG));
}
