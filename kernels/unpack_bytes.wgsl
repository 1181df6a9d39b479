// unpack_bytes: what a batch brings as bytes, four in a word, as numbers.
//
//   numbers   y[i] = byte i of x
//   levels    y[i] = table[256·c + byte i of x]       c the channel of element i
//
// shapes    x [⌈count/4⌉] words, the first byte lowest · y [count], padded to whole vec4; of levels
//           [B, channels, area] · table [channels, 256]
// dispatch  a thread per word
// tuning    WG = threads in a workgroup
// numerics  a table and no arithmetic: the device's division need not round as the host's does
// uses      lib/index
const WG = 64u;                 // tune: 8 32 64 128 256

struct Params { count: u32, area: u32, channels: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

fn bytes_of(word: u32) -> vec4u { return (vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u); }

@compute @workgroup_size(WG)
fn numbers(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(wg, grid) * WG + lane;
  if (i * 4u >= params.count) { return; }
  y[i] = vec4f(bytes_of(x[i]));
}

@compute @workgroup_size(WG)
fn levels(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
          @builtin(local_invocation_index) lane: u32) {
  let i = flat_group(wg, grid) * WG + lane;
  if (i * 4u >= params.count) { return; }
  let channel = (vec4u(i * 4u) + vec4u(0u, 1u, 2u, 3u)) / params.area % params.channels;
  let at = 256u * channel + bytes_of(x[i]);
  y[i] = vec4f(table[at.x], table[at.y], table[at.z], table[at.w]);
}
