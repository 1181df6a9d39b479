// window: where the tokens of an attention window lie on a map [B, H, W] that was shifted cyclically before it was cut
// into windows, and which of them may see each other. Index arithmetic instead of roll, partition and mask tensors.
//
// A window has `side`² tokens, row-major; windows are numbered row-major, images outermost. The kernel's Params must
// have height, width, side and shift.

struct Window { image: u32, y: u32, x: u32 }                 // y, x: its first token on the shifted map

fn window_at(index: u32) -> Window {
  let across = params.width / params.side;
  let down = params.height / params.side;
  return Window(index / (across * down), index / across % down * params.side, index % across * params.side);
}

// shifted[y, x] = map[(y + shift) mod H, (x + shift) mod W]
fn token_of(win: Window, i: u32) -> u32 {
  let y = (win.y + i / params.side + params.shift) % params.height;
  let x = (win.x + i % params.side + params.shift) % params.width;
  return (win.image * params.height + y) * params.width + x;
}

// the last window along an axis holds tokens of both ends of the map: before and from `length − shift`
fn region(at: u32, length: u32) -> u32 {
  return select(select(0u, 1u, at >= length - params.side), 2u, at >= length - params.shift);
}

fn region_of(win: Window, i: u32) -> u32 {
  if (params.shift == 0u) { return 0u; }
  return 3u * region(win.y + i / params.side, params.height) + region(win.x + i % params.side, params.width);
}

// row of the relative position bias table [(2 side − 1)²] for query i and key j
fn offset_of(i: u32, j: u32) -> u32 {
  let dy = i / params.side + params.side - 1u - j / params.side;
  let dx = i % params.side + params.side - 1u - j % params.side;
  return dy * (2u * params.side - 1u) + dx;
}
