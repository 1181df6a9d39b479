// index: the flat number of a workgroup or thread in a grid that the host folded into two dimensions.
fn flat_group(wg: vec3u, grid: vec3u) -> u32 { return wg.y * grid.x + wg.x; }
