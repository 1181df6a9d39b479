// clip: what an optimizer step makes of the gradients' norm.

// by its bits, as a compiler may assume that arithmetic meets no NaN
fn is_finite(v: f32) -> bool { return (bitcast<u32>(v) & 0x7f800000u) != 0x7f800000u; }

// the factor that brings a norm above `limit` down to it; a limit of 0 is none
fn clip_factor(norm: f32, limit: f32) -> f32 {
  if (limit <= 0.0) { return 1.0; }
  return min(limit / (norm + 1e-6), 1.0);
}
