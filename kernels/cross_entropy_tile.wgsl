// cross_entropy_tile: cross_entropy for GPUs. A workgroup's pixels, one a thread, pass through workgroup
// memory, so that neighbouring threads read and write neighbouring logits. See cross_entropy for the maths.
//
//   forward    partials, softmax       a workgroup takes every so-manieth block of WG pixels
//   finish     totals, loss            as cross_entropy/finish
//   backward   dx
//
// shapes    as in cross_entropy; threads is a multiple of WG
// dispatch  forward: `threads` threads · finish: a workgroup · backward: a thread per pixel
// tuning    WG = threads in a workgroup, a power of two · CLASSES = C
//           UNROLL = 0 on software devices, which else compile for long
// numerics  as in cross_entropy
// uses      lib/index lib/partials
const WG = 128u;                // tune: 32 64 128
const CLASSES = 21u;            // tune: 21
const UNROLL = 1u;              // tune: 0 1
const STRIDE = CLASSES | 1u;    // odd: the rows of pixels begin in different banks
const NONE = 255.0;

struct Params { pixels: u32, threads: u32, zero: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> labels: array<f32>;
@group(0) @binding(3) var<storage, read_write> softmax: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> partials: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> totals: array<vec4f>;
@group(0) @binding(6) var<storage, read_write> loss: array<f32>;
@group(0) @binding(7) var<storage, read> saved_softmax: array<vec2f>;
@group(0) @binding(8) var<storage, read> saved_totals: array<vec4f>;
@group(0) @binding(9) var<storage, read> dy: array<f32>;
@group(0) @binding(10) var<storage, read_write> dx: array<f32>;

var<workgroup> logits: array<f32, WG * STRIDE>;

// the end of a loop over classes: a constant wherever the driver's unrolling is wanted
fn classes() -> u32 { return CLASSES + select(params.zero, 0u, UNROLL == 1u); }

fn load(block: u32, lane: u32) {
  for (var e = lane; e < WG * CLASSES; e += WG) {
    let at = block * WG * CLASSES + e;
    if (at < params.pixels * CLASSES) { logits[e / CLASSES * STRIDE + e % CLASSES] = x[at]; }
  }
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let group = flat_group(wg, grid);
  let row = lane * STRIDE;
  var sum = vec4f(0.0);
  for (var block = group; block * WG < params.pixels; block += params.threads / WG) {
    workgroupBarrier();
    load(block, lane);
    workgroupBarrier();
    let pixel = block * WG + lane;
    if (pixel < params.pixels) {
      var top = logits[row];
      for (var k = 1u; k < classes(); k++) { top = max(top, logits[row + k]); }
      var total = 0.0;
      for (var k = 0u; k < classes(); k++) { total += exp(logits[row + k] - top); }
      softmax[pixel] = vec2f(top, total);
      let label = labels[pixel];
      let known = label >= 0.0 && label < f32(CLASSES);
      if (known) { sum += vec4f(top - logits[row + u32(label)] + log(total), 1.0, 0.0, 0.0); }
      if (!known && label != NONE) { sum.x = bitcast<f32>(0x7fc00000u + params.zero); }
    }
  }
  let thread = group * WG + lane;
  if (thread < params.threads) { partials[thread] = sum; }
}

@compute @workgroup_size(WG)
fn finish(@builtin(local_invocation_index) lane: u32) {
  let sum = sum_partials(lane);
  if (lane > 0u) { return; }
  totals[0] = sum;
  loss[0] = sum.x / max(sum.y, 1.0);
}

@compute @workgroup_size(WG)
fn backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let block = flat_group(wg, grid);
  let pixel = min(block * WG + lane, params.pixels - 1u);
  let row = lane * STRIDE;
  load(block, lane);
  workgroupBarrier();
  let label = labels[pixel];
  let normalizer = saved_softmax[pixel];
  let factor = select(dy[0] / max(saved_totals[0].y, 1.0), 0.0, label == NONE);
  for (var k = 0u; k < classes(); k++) {
    let hit = select(0.0, 1.0, f32(k) == label);
    logits[row + k] = factor * (exp(logits[row + k] - normalizer.x) / normalizer.y - hit);
  }
  workgroupBarrier();
  for (var e = lane; e < WG * CLASSES; e += WG) {
    let at = block * WG * CLASSES + e;
    if (at < params.pixels * CLASSES) { dx[at] = logits[e / CLASSES * STRIDE + e % CLASSES]; }
  }
}
