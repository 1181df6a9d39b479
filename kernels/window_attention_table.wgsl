// window_attention_table: the gradient of window attention by the relative position bias table.
//
//   partial    part[run, head, i, j] = Σ ds_ij over a run of windows    ds_ij = p_ij (dy_i·v_j − δ_i)
//   backward   dtable[offset, head] = Σ part over the runs and the pairs i, j with that offset, in order
//
// shapes    as in lib/attention · part [runs, heads, AREA, AREA] · dtable [(2 SIDE − 1)², heads]
// dispatch  partial: a thread per element of part · backward: a thread per element of dtable
// tuning    as in window_attention · BY_KEY = 1 where the rows of part's AREA × AREA are keys, not queries
// numerics  f32; p as in window_attention, from lse and δ that it kept
// uses      lib/index lib/window lib/attention
const WG = 64u;                 // tune: 8 16 32 64 128
alias Item = vec4f;             // tune: vec4f f32
const WIDTH = 4u;               // tune: 4 1
const ITEMS = 8u;               // tune: 8
const SIDE = 7u;                // tune: 7
const BY_KEY = 0u;              // tune: 0 1

@group(0) @binding(6) var<storage, read_write> part: array<f32>;
@group(0) @binding(7) var<storage, read_write> dtable: array<f32>;

@compute @workgroup_size(WG)
fn partial(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let thread = flat_group(wg, grid) * WG + lane;
  if (thread >= params.runs * params.heads * AREA * AREA) { return; }
  let j = thread % AREA;
  let i = thread / AREA % AREA;
  let head = thread / (AREA * AREA) % params.heads;
  let run = thread / (AREA * AREA * params.heads);

  var sum = 0.0;
  let end = min((run + 1u) * params.run, params.windows);
  for (var window = run * params.run; window < end; window++) {
    let win = window_at(window);
    let query = token_of(win, i);
    let key = token_of(win, j);
    let at = (window * params.heads + head) * AREA + i;
    let p = exp(score(qkv_at(query, Q, head), qkv_at(key, K, head), win, head, i, j) - lse[at]);
    sum += p * (product_dy(y_at(query, head), qkv_at(key, V, head)) - delta[at]);
  }
  part[thread] = sum;
}

// keys along an axis, from and to, that a query `offset − (SIDE − 1)` further on sees within the window
fn first_key(offset: u32) -> u32 { return SIDE - 1u - min(offset, SIDE - 1u); }
fn end_key(offset: u32) -> u32 { return min(SIDE, 2u * SIDE - 1u - offset); }

@compute @workgroup_size(WG)
fn backward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
            @builtin(local_invocation_index) lane: u32) {
  let thread = flat_group(wg, grid) * WG + lane;
  let span = 2u * SIDE - 1u;
  if (thread >= span * span * params.heads) { return; }
  let head = thread % params.heads;
  let down = thread / params.heads / span;
  let across = thread / params.heads % span;

  var sum = 0.0;
  for (var run = 0u; run < params.runs; run++) {
    let start = (run * params.heads + head) * AREA;
    for (var y = first_key(down); y < end_key(down); y++) {
      for (var x = first_key(across); x < end_key(across); x++) {
        let query = (y + down + 1u - SIDE) * SIDE + x + across + 1u - SIDE;
        let key = y * SIDE + x;
        sum += part[start * AREA + select(query * AREA + key, key * AREA + query, BY_KEY == 1u)];
      }
    }
  }
  dtable[thread] = sum;
}
