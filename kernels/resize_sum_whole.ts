// resize_sum_whole: writes the WGSL of resize_sum for maps that the base's size is a whole multiple of.
//
// Where each map's ratio divides the largest one, P, weights and steps from texel to texel repeat every P
// columns. A cell of P columns is written out with its weights as constants, without condition or division:
// texels are loaded once and carried on. `kernels/resize_sum.wgsl` is the plain form that this agrees with.

export type WholeForm = { readonly ratios: readonly number[]; readonly item: 'vec4f' | 'f32' };

export function wholeKey({ ratios, item }: WholeForm): string {
  return `resize_sum_whole(${ratios.join(' ')} ${item})`;
}

export function resizeSumWhole({ ratios, item }: WholeForm): string {
  const maps = ratios.map((ratio, m) => ({ ratio, m }));
  const period = Math.max(...ratios);
  const each = (line: (map: { ratio: number; m: number }) => string): string => maps.map(line).join('\n');
  const columns = Array.from({ length: period }, (_, k) => column(k, maps));
  return `
const WG = 64u;
struct Params { images: u32, height: u32, width: u32, channels: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> base: array<${item}>;
@group(0) @binding(2) var<storage, read_write> y: array<${item}>;
${each(({ m }) => `@group(0) @binding(${3 + m}) var<storage, read> m${m}: array<${item}>;`)}

@compute @workgroup_size(WG)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) grid: vec3u,
           @builtin(local_invocation_index) lane: u32) {
  let id = (wg.y * grid.x + wg.x) * WG + lane;
  let line = id / params.channels;
  let image = line / params.height;
  if (image >= params.images) { return; }
  let channel = id - line * params.channels;
  let row = line - image * params.height;
  var at = line * params.width * params.channels + channel;
${each(start)}
  for (var cell = 0u; cell < params.width / ${period}u; cell++) {
${columns.join('\n')}
  }
}
`;
}

type Walk = { readonly ratio: number; readonly m: number };

// the two rows of a map and the share of the second, then the texels left and right of the first column
function start({ ratio, m }: Walk): string {
  return `
  let wide${m} = params.width / ${ratio}u;
  let tall${m} = params.height / ${ratio}u;
  let place${m} = max(0.0, (f32(row) + 0.5) / ${ratio}.0 - 0.5);
  let above${m} = u32(place${m});
  let share${m} = place${m} - f32(above${m});
  let origin${m} = image * tall${m} * wide${m} * params.channels + channel;
  let upper${m} = origin${m} + above${m} * wide${m} * params.channels;
  let lower${m} = origin${m} + min(above${m} + 1u, tall${m} - 1u) * wide${m} * params.channels;
  var next${m} = 0u;
  var right${m} = mix(m${m}[upper${m}], m${m}[lower${m}], share${m});
  var left${m} = right${m};`;
}

function column(k: number, maps: readonly Walk[]): string {
  const terms = maps.map(({ ratio, m }) => {
    const apart = ((k % ratio) + 0.5) / ratio - 0.5;
    return `mix(left${m}, right${m}, ${literal(apart < 0 ? apart + 1 : apart)})`;
  });
  return `${maps.filter(({ ratio }) => k % ratio === Math.floor(ratio / 2)).map(step).join('\n')}
    y[at] = base[at] + ${terms.join(' + ')};
    at += params.channels;`;
}

function step({ m }: Walk): string {
  return `    {
      left${m} = right${m};
      next${m} = min(next${m} + 1u, wide${m} - 1u);
      let texel = next${m} * params.channels;
      right${m} = mix(m${m}[upper${m} + texel], m${m}[lower${m} + texel], share${m});
    }`;
}

const literal = (value: number): string => Number.isInteger(value) ? `${value}.0` : String(value);
