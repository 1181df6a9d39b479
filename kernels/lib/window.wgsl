// window: where the tokens of an attention window lie on a map [B, H, W] that was shifted cyclically before
// it was cut into windows, and which of them may see each other. Index arithmetic instead of tensors.
//
// A window has SIDE² tokens, row-major; windows are numbered row-major, images outermost. The kernel has the
// constant SIDE, and height, width and shift in its Params.

struct Window { image: u32, y: u32, x: u32 }                 // y, x: its first token on the shifted map

fn window_at(index: u32) -> Window {
  let across = params.width / SIDE;
  let down = params.height / SIDE;
  return Window(index / (across * down), index / across % down * SIDE, index % across * SIDE);
}

fn wrapped(at: u32, length: u32) -> u32 { return select(at, at - length, at >= length); }

// shifted[y, x] = map[(y + shift) mod H, (x + shift) mod W]
fn token_of(win: Window, i: u32) -> u32 {
  let y = wrapped(win.y + i / SIDE + params.shift, params.height);
  let x = wrapped(win.x + i % SIDE + params.shift, params.width);
  return (win.image * params.height + y) * params.width + x;
}

// the last window along an axis holds tokens of both ends of the map: before and from `length − shift`
fn region(at: u32, length: u32) -> u32 {
  return select(select(0u, 1u, at >= length - SIDE), 2u, at >= length - params.shift);
}

fn region_of(win: Window, i: u32) -> u32 {
  if (params.shift == 0u) { return 0u; }
  return 3u * region(win.y + i / SIDE, params.height) + region(win.x + i % SIDE, params.width);
}

// row of the relative position bias table [(2 SIDE − 1)²] for query i and key j: a difference of two numbers
const CENTRE = 2u * SIDE * (SIDE - 1u);
fn along(i: u32) -> u32 { return i / SIDE * (2u * SIDE - 1u) + i % SIDE; }
fn offset_of(i: u32, j: u32) -> u32 { return CENTRE + along(i) - along(j); }
