import { withoutGrad } from '../autograd/recall.ts';
import { record } from '../autograd/tape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { columnSums } from './column_sums.ts';
import { cast, scale } from './elementwise.ts';
import { resizeBilinear } from './resize.ts';

/** The mean over all pixels. @param x [B, H, W, C] @returns y [B, 1, 1, C] */
export function globalAveragePool(x: Tensor): Tensor {
  const [images, height, width, channels] = x.shape as [number, number, number, number];
  const area = height * width;
  const sums = columnSums(x, images, area, channels, [images, 1, 1, channels]);
  const y = withoutGrad(() => cast(scale(sums, 1 / area), x.dtype));
  // a resize from one pixel copies it to all
  return record('globalAveragePool', [x], y, (dy) => [resizeBilinear(scale(dy, 1 / area), height, width)]);
}
