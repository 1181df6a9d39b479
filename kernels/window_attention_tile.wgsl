// window_attention_tile: window attention for GPUs. A workgroup takes a window with one head: a thread a
// token, whose own row is in registers, while those that it meets pass through workgroup memory.
// window_attention has the maths.
//
//   forward       y, lse: softmax as the keys go by, one row of the window at a time. What was summed before
//                 is rescaled when the largest score grows
//   backward_q    dq, delta, and part[run, head, j, i] = Σ ds_ij over a run of windows, for the table
//   backward_kv   dk, dv
//
// shapes    as in lib/attention · y [B, H, W, C] · dqkv [B, H, W, 3C] · part [runs, heads, AREA, AREA]
// dispatch  forward, backward_kv: a workgroup per window and head · backward_q: per run of windows and head
// tuning    WG = threads in a workgroup, AREA at least · ROWS of the window in workgroup memory at once
//           SIDE of a window · Item, WIDTH, ITEMS: by the head dim · BIASED = 0 where part is not wanted
//           UNROLL = 0 on software devices, which else compile for half a minute
// numerics  f32; the largest score is taken off before exp; backward computes the scores again
// uses      lib/index lib/window lib/attention lib/attention_tile
const WG = 64u;                 // tune: 32 64 96 128 160
alias Item = vec4f;             // tune: vec4f f32
const WIDTH = 4u;               // tune: 4 1
const ITEMS = 8u;               // tune: 8
const SIDE = 7u;                // tune: 7
const ROWS = 7u;                // tune: 7
const BIASED = 1u;              // tune: 0 1
const UNROLL = 1u;              // tune: 0 1
const LOWEST = -3.0e38;

@group(0) @binding(6) var<storage, read_write> y: array<Item>;
@group(0) @binding(7) var<storage, read_write> dqkv: array<Item>;
@group(0) @binding(8) var<storage, read_write> part: array<f32>;

var<workgroup> queries: array<vec2f, AREA>;            // (lse, δ)

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let item = flat_group(wg, grid);
  if (item >= params.windows * params.heads) { return; }
  let head = item % params.heads;
  load_biases(head, lane);
  load_places(item / params.heads, lane);
  let i = min(lane, AREA - 1u);
  let q = scaled(own_row(Q, head, i, lane), params.scale);

  var largest = LOWEST;
  var sum = 0.0;
  var mix: Row;
  for (var first = 0u; first < until(SIDE); first += ROWS) {
    fill_both(K, V, head, first, lane);
    for (var row = first; row < end_row(first); row++) {
      let start = (row - first) * SIDE * STRIDE;
      var scores: array<f32, SIDE>;
      var top = largest;
      for (var x = 0u; x < until(SIDE); x++) {
        scores[x] = score_of(product_at(q, LEFT + start + x * STRIDE), i, row * SIDE + x);
        top = max(top, scores[x]);
      }
      let shrink = exp(largest - top);
      largest = top;
      sum *= shrink;
      for (var d = 0u; d < until(ITEMS); d++) { mix[d] *= shrink; }
      for (var x = 0u; x < until(SIDE); x++) {
        let p = exp(scores[x] - top);
        sum += p;
        for (var d = 0u; d < until(ITEMS); d++) { mix[d] += p * tile[RIGHT + start + x * STRIDE + d]; }
      }
    }
  }
  if (lane < AREA) { lse[item * AREA + lane] = largest + log(sum); }
  store_y(scaled(mix, 1.0 / sum), head, lane);
}

@compute @workgroup_size(WG)
fn backward_q(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
              @builtin(local_invocation_index) lane: u32) {
  let item = flat_group(wg, grid);
  if (item >= params.runs * params.heads) { return; }
  let head = item % params.heads;
  let begin = item / params.heads * params.run;
  load_biases(head, lane);
  let i = min(lane, AREA - 1u);
  for (var window = begin; window < min(begin + params.run, params.windows); window++) {
    workgroupBarrier();
    load_places(window, lane);
    let q = scaled(own_row(Q, head, i, lane), params.scale);
    let g = own_row(DY, head, i, lane);
    let inner = row_product(g, own_row(Y, head, i, lane));
    let at = (window * params.heads + head) * AREA + i;
    let norm = lse[at];

    var dq = Row();                                    // with a value: Dawn clears a bare `var` only once
    for (var first = 0u; first < until(SIDE); first += ROWS) {
      fill_both(K, V, head, first, lane);
      for (var j = first * SIDE; j < SIDE * end_row(first); j++) {
        let key = (j - first * SIDE) * STRIDE;
        let p = exp(score_of(product_at(q, LEFT + key), i, j) - norm);
        let ds = p * (product_at(g, RIGHT + key) - inner);
        for (var d = 0u; d < until(ITEMS); d++) { dq[d] += ds * tile[LEFT + key + d]; }
        if (BIASED == 1u && lane < AREA) {
          let place = (item * AREA + j) * AREA + lane;
          part[place] = select(part[place] + ds, ds, window == begin);
        }
      }
    }
    if (lane < AREA) { delta[at] = inner; }
    store_gradient(scaled(dq, params.scale), Q, head, lane);
  }
}

@compute @workgroup_size(WG)
fn backward_kv(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
               @builtin(local_invocation_index) lane: u32) {
  let item = flat_group(wg, grid);
  if (item >= params.windows * params.heads) { return; }
  let head = item % params.heads;
  load_biases(head, lane);
  load_places(item / params.heads, lane);
  if (lane < AREA) { queries[lane] = vec2f(lse[item * AREA + lane], delta[item * AREA + lane]); }
  let j = min(lane, AREA - 1u);
  let k = scaled(own_row(K, head, j, lane), params.scale);
  let v = own_row(V, head, j, lane);

  var dk: Row;
  var dv: Row;
  for (var first = 0u; first < until(SIDE); first += ROWS) {
    fill_both(Q, DY, head, first, lane);
    for (var i = first * SIDE; i < SIDE * end_row(first); i++) {
      let query = (i - first * SIDE) * STRIDE;
      let p = exp(score_of(product_at(k, LEFT + query), i, j) - queries[i].x);
      let ds = p * (product_at(v, RIGHT + query) - queries[i].y);
      for (var d = 0u; d < until(ITEMS); d++) {
        dk[d] += ds * tile[LEFT + query + d];
        dv[d] += p * tile[RIGHT + query + d];
      }
    }
  }
  store_gradient(scaled(dk, params.scale), K, head, lane);
  store_gradient(dv, V, head, lane);
}
