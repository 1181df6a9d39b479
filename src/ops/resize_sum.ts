import { resizeSumWhole, wholeKey } from '../../kernels/resize_sum_whole.ts';
import { expectShape, size } from '../autograd/shape.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch, tracing } from '../gpu/program.ts';
import { guarded, isPlain } from './kernel_form.ts';
import { resizeTransposed } from './resize.ts';
import { itemsFor } from './vectorise.ts';

type Extent = readonly [height: number, width: number];

/**
 * Adds maps to a base, each resized bilinearly (align_corners = false) to its size; no resized map is stored.
 *
 * @param base [..., H, W, C]
 * @param maps one to four of [..., h, w, C], of any sizes
 * @returns y [..., H, W, C]
 */
export function resizeSum(base: Tensor, maps: readonly Tensor[]): Tensor {
  const at = base.shape.length - 3;
  if (!COUNTS.includes(maps.length)) throw new Error(`resizeSum: must get 1 to 4 maps, got ${maps.length}`);
  const extents = maps.map(({ shape }, k): Extent => {
    const [h, w] = shape.slice(at) as [number, number];
    expectShape('resizeSum', `map ${k}`, shape, base.shape.with(at, h).with(at + 1, w));
    return [h, w];
  });
  const y = empty(base.shape, 'resizeSum', base.dtype);
  const sizes = extents.map((extent) => extent.join(' x ')).join(', ');
  guarded(`resizeSum [${base.shape.join(', ')}] of ${sizes}`, () => launch(base, maps, extents, y));
  return record('resizeSum', [base, ...maps], y, (dy) => {
    const wanted = extents.filter((_, k) => maps[k]!.requiresGrad);
    const found = resizeTransposed(wanted.map((extent) => [dy, ...extent]));
    return [dy, ...maps.map((map) => map.requiresGrad ? found.shift()! : null)];
  });
}

const COUNTS = [1, 2, 3, 4];

function launch(base: Tensor, maps: readonly Tensor[], extents: readonly Extent[], y: Tensor): void {
  const [height, width, depth] = base.shape.slice(-3) as [number, number, number];
  const images = size(base.shape.slice(0, -3));
  const items = itemsFor(depth);
  const sizes = { images, height, width, channels: depth / items.width };
  const lines = images * height * sizes.channels;
  const ratios = isPlain(tracing('resizeSum').gpu) ? null : wholeRatios([height, width], extents);
  if (ratios) {
    const form = { ratios, item: items.width === 4 ? 'vec4f' : 'f32' } as const;
    const generated = { key: wholeKey(form), code: () => resizeSumWhole(form) };
    const named = Object.fromEntries(maps.map((map, k) => [`m${k}`, map]));
    dispatch('resize_sum_whole/forward', { base, y, ...named }, { threads: lines, generated, params: sizes });
    return;
  }
  const [m0, m1, m2, m3] = [0, 1, 2, 3].map((k) => maps[k] ?? base) as [Tensor, Tensor, Tensor, Tensor];
  const [[h0, w0], [h1, w1], [h2, w2], [h3, w3]] =
    [0, 1, 2, 3].map((k) => extents[k] ?? [0, 0]) as [Extent, Extent, Extent, Extent];
  dispatch('resize_sum/forward', { base, m0, m1, m2, m3, y }, {
    threads: lines * width, tuning: items.tuning,
    params: { ...sizes, maps: maps.length, h0, w0, h1, w1, h2, w2, h3, w3 },
  });
}

/** By how much each map is enlarged, where that is whole, the same in both axes, and divides the largest. */
function wholeRatios([height, width]: Extent, extents: readonly Extent[]): number[] | null {
  const ratios = extents.map(([h, w]) => width / w === height / h ? width / w : NaN);
  const period = Math.max(...ratios);
  return ratios.every((ratio) => Number.isInteger(ratio) && period % ratio === 0) ? ratios : null;
}
