// resize_whole: resize along one axis where the outputs are a whole multiple of the inputs, O = RATIO · I.
//
// Between inputs i and i + 1 lie RATIO outputs, o = i·RATIO + ⌊RATIO/2⌋ + k, whose weights depend on k:
//   f = (⌊RATIO/2⌋ + k + ½)/RATIO − ½
//   forward    y[o] = (1 − f)·x[i] + f·x[i + 1]
//   backward   dx[i] = Σ_k (1 − f)·dy[o] of the interval after i + Σ_k f·dy[o] of the interval before
// Intervals run from i = −1 to I − 1, with the first and the last input repeated beyond the ends.
//
// shapes    x, dx [outer, I, inner], y, dy [outer, O, inner], in items
// dispatch  a thread per column and `run` intervals (forward) or inputs (backward) of it; each item is loaded
//           once, but for the first of a run
// tuning    WG = threads in a workgroup; RATIO is set by the op; Item = what is moved at once
// uses      lib/index
const WG = 64u;                 // tune: 8 32 64 128 256
const RATIO = 2u;               // tune: 2 3 4 8 16
alias Item = vec4f;             // tune: vec4f f32
const START = RATIO / 2u;
const LOOPED = u32(RATIO >= 8u);   // written out, long runs compile for longer than they run

struct Params { outer: u32, inner: u32, size_in: u32, run: u32, zero: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Item>;
@group(0) @binding(2) var<storage, read_write> y: array<Item>;
@group(0) @binding(3) var<storage, read> dy: array<Item>;
@group(0) @binding(4) var<storage, read_write> dx: array<Item>;

fn share(k: u32) -> f32 { return (f32(START + k) + 0.5) / f32(RATIO) - 0.5; }

// A run of `count` among those of a column: its first, and where the column begins in x or dx and in y or dy.
struct Run { first: u32, small: u32, large: u32, live: bool }

fn run_of(wg: vec3u, grid: vec3u, lane: u32, count: u32) -> Run {
  let id = flat_group(wg, grid) * WG + lane;
  let runs = (count + params.run - 1u) / params.run;
  let block = id / params.inner;
  let outer = block / runs;
  let column = id - block * params.inner;
  let small = outer * params.size_in * params.inner + column;
  return Run((block - outer * runs) * params.run, small,
             outer * params.size_in * RATIO * params.inner + column, outer < params.outer);
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let intervals = params.size_in + 1u;
  let run = run_of(wg, grid, lane, intervals);
  if (!run.live) { return; }
  var a = x[run.small + max(run.first, 1u) * params.inner - params.inner];
  for (var j = run.first; j < min(run.first + params.run, intervals); j++) {
    let b = x[run.small + min(j, params.size_in - 1u) * params.inner];
    let o = j * RATIO - RATIO + START;               // before the first, it wraps round to behind the last
    for (var k = 0u; k < RATIO + LOOPED * params.zero; k++) {
      if (o + k < params.size_in * RATIO) { y[run.large + (o + k) * params.inner] = a + (b - a) * share(k); }
    }
    a = b;
  }
}

@compute @workgroup_size(WG)
fn backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let run = run_of(wg, grid, lane, params.size_in);
  if (!run.live) { return; }
  let last = params.size_in * RATIO - 1u;
  var before = Item(0.0);                            // what the interval before i adds to it
  for (var j = run.first; j <= min(run.first + params.run, params.size_in); j++) {
    let o = j * RATIO - RATIO + START;
    var whole = Item(0.0);
    var after = Item(0.0);
    for (var k = 0u; k < RATIO + LOOPED * params.zero; k++) {
      let value = select(Item(0.0), dy[run.large + min(o + k, last) * params.inner], o + k <= last);
      whole += value;
      after += value * share(k);
    }
    let rest = select(whole - after, whole, j == params.size_in);
    if (j > run.first) { dx[run.small + (j - 1u) * params.inner] = before + rest; }
    before = select(after, whole, j == 0u);
  }
}
