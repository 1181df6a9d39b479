import { expectShape, size } from '../autograd/shape.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';
import { resizeTransposed } from './resize.ts';
import { itemsFor } from './vectorise.ts';

/**
 * Adds maps to a base, each resized bilinearly (align_corners = false) to its size; no resized map is stored.
 *
 * @param base [..., H, W, C]
 * @param maps one to four of [..., h, w, C], of any sizes
 * @returns y [..., H, W, C]
 */
export function resizeSum(base: Tensor, maps: readonly Tensor[]): Tensor {
  const at = base.shape.length - 3;
  const few = maps.length >= 1 && maps.length <= 4;
  if (!few) throw new Error(`resizeSum: must get 1 to 4 maps, got ${maps.length}`);
  const extents = maps.map(({ shape }, k) => {
    const [h, w] = shape.slice(at) as [number, number];
    expectShape('resizeSum', `map ${k}`, shape, base.shape.with(at, h).with(at + 1, w));
    return [h, w] as const;
  });
  const [height, width, depth] = base.shape.slice(at) as [number, number, number];
  const images = size(base.shape.slice(0, at));
  const items = itemsFor(depth);
  const channels = depth / items.width;
  const y = empty(base.shape, 'resizeSum');
  const [m0, m1, m2, m3] = [0, 1, 2, 3].map((k) => maps[k] ?? base) as [Tensor, Tensor, Tensor, Tensor];
  const [[h0, w0], [h1, w1], [h2, w2], [h3, w3]] = [0, 1, 2, 3].map((k) => extents[k] ?? [0, 0]) as Extents;
  dispatch('resize_sum/forward', { base, m0, m1, m2, m3, y }, {
    threads: images * height * channels,
    tuning: items.tuning,
    params: { images, height, width, channels, maps: maps.length, h0, w0, h1, w1, h2, w2, h3, w3 },
  });
  return record('resizeSum', [base, ...maps], y, (dy) =>
    [dy, ...maps.map((map, k) => map.requiresGrad ? resizeTransposed(dy, ...extents[k]!) : null)]);
}

type Extent = readonly [number, number];
type Extents = [Extent, Extent, Extent, Extent];
