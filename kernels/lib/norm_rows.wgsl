// norm_rows: what layernorm does with a row, by workgroups of one subgroup that walk a run of them. A lane
// has every LANES-th item of a row, of four channels. Needs lib/index, LANES, HELD and WIDE, and in Params
// rows, channels, items, eps, run (rows of a run).
//
// WIDE = 0: a row has LANES · HELD items, held in registers, as w and b are · 1: rows are walked in chunks,
// and read again in each pass; backward, block by block.
//
// The kernel says where a row lies in x, its item i: source(base, i), and what else it wants of a row: Place.
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> w: array<vec4f>;
@group(0) @binding(3) var<storage, read> b: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read> dy: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> dx: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> part_w: array<vec4f>;
@group(0) @binding(9) var<storage, read_write> part_b: array<vec4f>;

// what a lane holds of a row, or, of a wide one, has at hand: chunk after chunk
alias Items = array<vec4f, HELD>;

fn chunks() -> u32 { return select(params.items / (LANES * HELD), 1u, WIDE == 0u); }
fn item(c: u32, h: u32, lane: u32) -> u32 { return (c * HELD + h) * LANES + lane; }
fn end_of(run: u32) -> u32 { return min((run + 1u) * params.run, params.rows); }

fn total(v: vec4f) -> f32 {
  var all = v.x + v.y + v.z + v.w;
  for (var step = 1u; step < LANES; step *= 2u) { all += subgroupShuffleXor(all, step); }
  return all;
}

// what a lane's items are scaled and shifted by
struct Affine { w: Items, b: Items }

fn affine_of(lane: u32) -> Affine {
  var affine = Affine();
  for (var h = 0u; h < HELD; h++) {
    affine.w[h] = w[item(0u, h, lane)];
    affine.b[h] = b[item(0u, h, lane)];
  }
  return affine;
}

// a lane's items of a row, and of the partial sums
struct Line { scale: Items, shift: Items, n: Items, d: Items, sum_w: Items, sum_b: Items }

// n = (x − mean) / σ of an item
fn norm_of(base: u32, i: u32, moments: vec2f) -> vec4f {
  return (x[source(base, i)] - moments.x) * moments.y;
}

// mean(g), mean(g·n) and 1/σ of a row
fn means_of(line: ptr<function, Line>, row: u32, base: u32, lane: u32) -> vec3f {
  let moments = stats[row];
  var sum_g = vec4f();
  var sum_gn = vec4f();
  for (var h = 0u; h < HELD; h++) {
    let i = item(0u, h, lane);
    (*line).n[h] = norm_of(base, i, moments);
    (*line).d[h] = dy[row * params.items + i];
    let g = (*line).d[h] * (*line).scale[h];
    sum_g += g;
    sum_gn += g * (*line).n[h];
  }
  return vec3f(vec2f(total(sum_g), total(sum_gn)) / f32(params.channels), moments.y);
}

// dx of an item; adds to the partial sums
fn gradient(line: ptr<function, Line>, h: u32, means: vec3f) -> vec4f {
  let d = (*line).d[h];
  let n = (*line).n[h];
  (*line).sum_w[h] += d * n;
  (*line).sum_b[h] += d;
  return means.z * (d * (*line).scale[h] - means.x - n * means.y);
}

fn store_parts(line: ptr<function, Line>, run: u32, lane: u32) {
  for (var h = 0u; h < HELD; h++) {
    let at = run * params.items + item(0u, h, lane);
    part_w[at] = (*line).sum_w[h];
    part_b[at] = (*line).sum_b[h];
  }
}

fn line_of(lane: u32) -> Line {
  var line = Line();
  for (var h = 0u; h < HELD; h++) {
    line.scale[h] = w[item(0u, h, lane)];
    line.shift[h] = shift_of(item(0u, h, lane));
  }
  return line;
}

// The backward pass of a run of rows. The kernel takes what it gives: put(place, i, dx, y), y being the norm
// once more, and gives place_of(row), which takes divisions, and shift_of(i), b where it wants that.
fn norm_backward(run: u32, lane: u32) {
  if (WIDE == 1u) {
    wide_backward(run, lane);
    return;
  }
  var line = line_of(lane);
  for (var row = run * params.run; row < end_of(run); row++) {
    let place = place_of(row);
    let means = means_of(&line, row, place.base, lane);
    for (var h = 0u; h < HELD; h++) {
      let d = gradient(&line, h, means);
      put(place, item(0u, h, lane), d, line.n[h] * line.scale[h] + line.shift[h]);
    }
  }
  store_parts(&line, run, lane);
}
