// window_attention_table: the gradient of window attention by the relative position bias table.
//
//   partial    part[run, head, i, j] = Σ ds_ij over a run of windows    ds_ij = p_ij (dy_i·v_j − δ_i)
//   backward   dtable[offset, head] = Σ part over the runs and the pairs i, j with that offset, in order
//
// shapes    as in lib/attention · part [runs, heads, area, area] · dtable [(2 side − 1)², heads]
// dispatch  partial: a thread per element of part · backward: a thread per element of dtable
// tuning    as in window_attention
// numerics  f32; p as in window_attention, from lse and δ that it kept
// uses      lib/index lib/window lib/attention
const WG = 64u;                 // tune: 8 16 32 64 128
alias Item = vec4f;             // tune: vec4f f32
const WIDTH = 4u;               // tune: 4 1
const ITEMS = 8u;               // tune: 8

@group(0) @binding(6) var<storage, read_write> part: array<f32>;
@group(0) @binding(7) var<storage, read_write> dtable: array<f32>;

@compute @workgroup_size(WG)
fn partial(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let thread = flat_group(wg, grid) * WG + lane;
  let area = params.side * params.side;
  if (thread >= params.runs * params.heads * area * area) { return; }
  let j = thread % area;
  let i = thread / area % area;
  let head = thread / (area * area) % params.heads;
  let run = thread / (area * area * params.heads);

  var sum = 0.0;
  let end = min((run + 1u) * params.run, params.windows);
  for (var window = run * params.run; window < end; window++) {
    let win = window_at(window);
    let query = token_of(win, i);
    let key = token_of(win, j);
    let at = (window * params.heads + head) * area + i;
    let p = exp(score(qkv_row(query, Q, head), qkv_row(key, K, head), win, head, i, j) - lse[at]);
    sum += p * (product(dy_row(query, head), qkv_row(key, V, head)) - delta[at]);
  }
  part[thread] = sum;
}

@compute @workgroup_size(WG)
fn backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let thread = flat_group(wg, grid) * WG + lane;
  let span = 2u * params.side - 1u;
  if (thread >= span * span * params.heads) { return; }
  let head = thread % params.heads;
  let offset = thread / params.heads;
  let down = i32(offset / span) - i32(params.side) + 1;      // of the query below the key
  let across = i32(offset % span) - i32(params.side) + 1;

  let side = i32(params.side);
  let area = side * side;
  var sum = 0.0;
  for (var run = 0u; run < params.runs; run++) {
    let start = i32(run * params.heads + head) * area * area;
    for (var ky = max(0, -down); ky < min(side, side - down); ky++) {
      for (var kx = max(0, -across); kx < min(side, side - across); kx++) {
        let query = (ky + down) * side + kx + across;
        sum += part[start + query * area + ky * side + kx];
      }
    }
  }
  dtable[thread] = sum;
}
