// row_sum: the sum, or the largest, of one value a thread over a workgroup of WG threads, given to them all.
// By a tree, so that the order of the sum is fixed; WG must be a power of two. Every thread must call.
var<workgroup> row_values: array<f32, WG>;

fn row_sum(v: f32, lane: u32) -> f32 {
  row_values[lane] = v;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (lane < half) { row_values[lane] += row_values[lane + half]; }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&row_values[0]);     // ends in a barrier: the next call may write
}

fn row_max(v: f32, lane: u32) -> f32 {
  row_values[lane] = v;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (lane < half) { row_values[lane] = max(row_values[lane], row_values[lane + half]); }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&row_values[0]);
}
