// matmul_finish: adds up the partial sums that matmul_tile left.
//
//   finish   y[g,m,n] = scale · Σ_s parts[s,g,m,n]  (+ bias[g,n])  (+ y[g,m,n] where accumulate)
//
// shapes    y by element strides as in matmul.wgsl · parts [splits, batch, m, n]
// dispatch  a workgroup per 32 outputs
// tuning    WG = threads in a workgroup, a multiple of 32
// numerics  f32; a thread's sums are in their order, then threads in theirs
// uses      lib/index lib/product
const WG = 256u;                // tune: 64 128 256
const OUTPUTS = 32u;

@group(0) @binding(5) var<storage, read_write> parts: array<f32>;

var<workgroup> sums: array<f32, WG>;

@compute @workgroup_size(WG)
fn finish(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
          @builtin(local_invocation_index) lane: u32) {
  let outputs = params.batch * params.m * params.n;
  let i = flat_group(wg, grid) * OUTPUTS + lane % OUTPUTS;
  var total = 0.0;
  if (i < outputs) {
    for (var s = lane / OUTPUTS; s < params.splits; s += WG / OUTPUTS) { total += parts[s * outputs + i]; }
  }
  sums[lane] = total;
  workgroupBarrier();
  if (lane >= OUTPUTS || i >= outputs) { return; }
  for (var other = lane + OUTPUTS; other < WG; other += OUTPUTS) { total += sums[other]; }
  store(i / (params.m * params.n), i / params.n % params.m, i % params.n, total);
}
