// window_attention: the tokens of each window attend to each other, head by head (scores s: lib/attention).
//
//   forward       y_i  = Σ_j p_ij v_j            p_ij = exp(s_ij − lse_i)        lse_i = log Σ_j exp(s_ij)
//   backward_q    dq_i = scale · Σ_j ds_ij k_j   ds_ij = p_ij (dy_i·v_j − δ_i)   δ_i = dy_i·y_i
//   backward_kv   dk_j = scale · Σ_i ds_ij q_i   dv_j = Σ_i p_ij dy_i
//
// shapes    as in lib/attention · y [B, H, W, C] · dqkv [B, H, W, 3C]
// dispatch  forward, backward_q: a thread per window, head and query · backward_kv: per window, head and key
// tuning    WG = threads in a workgroup · SIDE of a window · Item, WIDTH, ITEMS: by the head dim
// numerics  f32; the largest score is taken off before exp; backward computes the scores again
// uses      lib/index lib/window lib/attention
const WG = 64u;                 // tune: 8 16 32 64 128
alias Item = vec4f;             // tune: vec4f f32
const WIDTH = 4u;               // tune: 4 1
const ITEMS = 8u;               // tune: 8
const SIDE = 7u;                // tune: 7

@group(0) @binding(6) var<storage, read_write> y: array<Item>;
@group(0) @binding(7) var<storage, read_write> dqkv: array<Item>;

// a thread's token of a window and its head; `thread` is its place in lse and delta
struct Place { thread: u32, token: u32, head: u32, win: Window, outside: bool }

fn place_of(thread: u32) -> Place {
  let head = thread / AREA % params.heads;
  let window = thread / (AREA * params.heads);
  return Place(thread, thread % AREA, head, window_at(window), window >= params.windows);
}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let at = place_of(flat_group(wg, grid) * WG + lane);
  if (at.outside) { return; }
  let i = at.token;
  let head = at.head;
  let win = at.win;
  let q = qkv_at(token_of(win, i), Q, head);

  var largest = -3.0e38;
  for (var j = 0u; j < AREA + params.zero; j++) {
    largest = max(largest, score(q, qkv_at(token_of(win, j), K, head), win, head, i, j));
  }
  var sum = 0.0;
  var mix: Row;
  for (var j = 0u; j < AREA + params.zero; j++) {
    let token = token_of(win, j);
    let p = exp(score(q, qkv_at(token, K, head), win, head, i, j) - largest);
    sum += p;
    for (var d = 0u; d < ITEMS + params.zero; d++) { mix[d] += p * qkv[qkv_at(token, V, head) + d]; }
  }
  for (var d = 0u; d < ITEMS + params.zero; d++) { y[y_at(token_of(win, i), head) + d] = mix[d] / sum; }
  lse[at.thread] = largest + log(sum);
}

@compute @workgroup_size(WG)
fn backward_q(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
              @builtin(local_invocation_index) lane: u32) {
  let at = place_of(flat_group(wg, grid) * WG + lane);
  if (at.outside) { return; }
  let i = at.token;
  let head = at.head;
  let win = at.win;
  let token = token_of(win, i);
  let q = qkv_at(token, Q, head);
  let g = y_at(token, head);

  var inner = 0.0;
  for (var d = 0u; d < ITEMS + params.zero; d++) { inner += sum_of(dy[g + d] * y[y_at(token, head) + d]); }
  var dq: Row;
  for (var j = 0u; j < AREA + params.zero; j++) {
    let key = token_of(win, j);
    let k = qkv_at(key, K, head);
    let p = exp(score(q, k, win, head, i, j) - lse[at.thread]);
    let ds = p * (product_dy(g, qkv_at(key, V, head)) - inner);
    for (var d = 0u; d < ITEMS + params.zero; d++) { dq[d] += ds * qkv[k + d]; }
  }
  for (var d = 0u; d < ITEMS + params.zero; d++) { dqkv[qkv_at(token, Q, head) + d] = params.scale * dq[d]; }
  delta[at.thread] = inner;
}

@compute @workgroup_size(WG)
fn backward_kv(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
               @builtin(local_invocation_index) lane: u32) {
  let at = place_of(flat_group(wg, grid) * WG + lane);
  if (at.outside) { return; }
  let j = at.token;
  let head = at.head;
  let win = at.win;
  let token = token_of(win, j);
  let k = qkv_at(token, K, head);
  let v = qkv_at(token, V, head);

  var dk: Row;
  var dv: Row;
  for (var i = 0u; i < AREA + params.zero; i++) {
    let query = token_of(win, i);
    let q = qkv_at(query, Q, head);
    let g = y_at(query, head);
    let p = exp(score(q, k, win, head, i, j) - lse[at.thread - j + i]);
    let ds = p * (product_dy(g, v) - delta[at.thread - j + i]);
    for (var d = 0u; d < ITEMS + params.zero; d++) {
      dk[d] += ds * qkv[q + d];
      dv[d] += p * dy[g + d];
    }
  }
  for (var d = 0u; d < ITEMS + params.zero; d++) {
    dqkv[qkv_at(token, K, head) + d] = params.scale * dk[d];
    dqkv[qkv_at(token, V, head) + d] = dv[d];
  }
}
