// uncertainty_total: the loss of all tasks under weights that are learned (Kendall, Gal and Cipolla, 2018).
//
//   forward    y = Σ cₜ exp(−sₜ) lₜ + sₜ / 2       sₜ = log σₜ²; cₜ = ½ where bit t of `halved` is set, or 1
//   backward   dlₜ = dy cₜ exp(−sₜ)                dsₜ = dy (½ − cₜ exp(−sₜ) lₜ)
//
// shapes    l, s, dl, ds [T] · y, dy [1]
// dispatch  forward: a thread · backward: a thread per task
// tuning    WG = threads in a workgroup
const WG = 8u;

struct Params { count: u32, halved: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> l: array<f32>;
@group(0) @binding(2) var<storage, read> s: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dl: array<f32>;
@group(0) @binding(6) var<storage, read_write> ds: array<f32>;

fn weight(t: u32) -> f32 {
  return select(1.0, 0.5, ((params.halved >> t) & 1u) == 1u) * exp(-s[t]);
}

@compute @workgroup_size(WG)
fn forward(@builtin(local_invocation_index) lane: u32) {
  if (lane > 0u) { return; }
  var total = 0.0;
  for (var t = 0u; t < params.count; t++) { total += weight(t) * l[t] + 0.5 * s[t]; }
  y[0] = total;
}

@compute @workgroup_size(WG)
fn backward(@builtin(local_invocation_index) t: u32) {
  if (t >= params.count) { return; }
  dl[t] = dy[0] * weight(t);
  ds[t] = dy[0] * (0.5 - weight(t) * l[t]);
}
