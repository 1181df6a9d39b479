// tile_blocks: the blocks of 4 × 4 that tiles of both factors of a matrix product are filled by.
// Needs the constants BM, BN, BK and UNROLL, and params.zero.
// the end of a loop over registers: a constant wherever the driver's unrolling is wanted
fn until(count: u32) -> u32 { return count + select(params.zero, 0u, UNROLL == 1u); }

const BLOCKS_LEFT = BM * BK / 16u;
const BLOCKS_RIGHT = BN * BK / 16u;

// where block `e` of a tile `side` wide begins, (m or n, k): neighbours follow the contiguous axis
fn block_at(e: u32, side: u32, along_k: bool) -> vec2u {
  if (along_k) { return 4u * vec2u(e / (BK / 4u), e % (BK / 4u)); }
  return 4u * vec2u(e % (side / 4u), e / (side / 4u));
}
