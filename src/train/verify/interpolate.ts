import type { Gpu } from '../../gpu/device.ts';
import { resizeBilinear } from '../../ops/resize.ts';
import { resizeBicubic } from '../../swin/bias_table.ts';
import { readGolden, type Golden } from './golden.ts';
import { CHANNELS_LAST } from './layout.ts';
import { Leaves } from './leaves.ts';
import { compare, failure, type Check } from './report.ts';

type Image = readonly [number, number, number, number];

/** Holds both resizes to `<mode>.<h>x<w>_to_<H>x<W>` of `interpolate.safetensors`, forward and gradient. */
export async function verifyInterpolate(gpu: Gpu, folder: string, bound: number): Promise<Check[]> {
  const golden = readGolden(folder, 'interpolate');
  const cases = [...new Set(golden.names.map((name) => name.split('.', 2).join('.')))];
  const checks: Check[] = [];
  for (const name of cases) {
    const [mode] = name.split('.');
    try {
      if (mode === 'bilinear') checks.push(...await checkBilinear(gpu, golden, name, bound));
      else if (mode === 'bicubic') checks.push(...checkBicubic(golden, name, bound));
      else throw new Error(`"${mode}" must be bilinear or bicubic`);
    } catch (error) {
      checks.push(failure(`interpolate ${name}`, error));
    }
  }
  return checks;
}

async function checkBilinear(gpu: Gpu, golden: Golden, name: string, bound: number): Promise<Check[]> {
  const leaves = new Leaves(gpu, golden);
  try {
    const [b, c, h, w] = golden.shape(`${name}.x`) as Image;
    const [, , toHeight, toWidth] = golden.shape(`${name}.y`) as Image;
    const x = leaves.differentiated([['x', `${name}.x`]], { shape: [b, h, w, c], layout: CHANNELS_LAST });
    const shape = [b, toHeight, toWidth, c];
    const upstream = leaves.constant([`${name}.upstream`], { shape, layout: CHANNELS_LAST });
    const { outputs: [y], gradients } = await leaves.run(() => {
      const out = resizeBilinear(x, toHeight, toWidth);
      return { outputs: [out], seeds: [[out, upstream]] };
    });
    const got = CHANNELS_LAST.toFile(y!, golden.shape(`${name}.y`));
    return [
      compare(`interpolate ${name}.y`, got, golden.values(`${name}.y`), bound),
      compare(`interpolate ${name}.grad`, gradients.get('x')!, golden.values(`${name}.grad`), bound),
    ];
  } finally {
    leaves.release();
  }
}

// only tables are resized bicubically, before training: the gradient is the map itself, seen from its inputs
function checkBicubic(golden: Golden, name: string, bound: number): Check[] {
  const shape = golden.shape(`${name}.x`);
  const [b, c, h, w] = shape as Image;
  const [, , toHeight, toWidth] = golden.shape(`${name}.y`) as Image;
  const plane = (values: Float32Array): Float32Array => resizeBicubic(values, [h, w, 1], [toHeight, toWidth]);
  const planes = Array.from({ length: b * c }, (_, i) => i);
  const cut = (values: Float32Array, i: number): Float32Array =>
    values.subarray(i * values.length / planes.length, (i + 1) * values.length / planes.length);
  const [x, upstream] = [golden.values(`${name}.x`), golden.values(`${name}.upstream`)];
  const y = planes.flatMap((i) => [...plane(cut(x, i))]);
  const responses = Array.from({ length: h * w }, (_, at) => plane(new Float32Array(h * w).with(at, 1)));
  const grad = planes.flatMap((i) => {
    const dy = cut(upstream, i);
    return responses.map((response) => response.reduce((sum, value, k) => sum + value * dy[k]!, 0));
  });
  return [
    compare(`interpolate ${name}.y`, y, golden.values(`${name}.y`), bound),
    compare(`interpolate ${name}.grad`, grad, golden.values(`${name}.grad`), bound),
  ];
}
