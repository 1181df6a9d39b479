import { size } from '../autograd/shape.ts';
import { recomputable } from '../autograd/recall.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';

/**
 * Concatenates 2×2 neighbours along the channels, in the order (row, column) 00, 10, 01, 11.
 *
 * @param x [..., H, W, C] of even H and W
 * @returns [..., H/2, W/2, 4C]
 */
export function mergePatches(x: Tensor): Tensor {
  const [height, width, channels] = x.shape.slice(-3) as [number, number, number];
  if (height % 2 !== 0 || width % 2 !== 0) {
    throw new Error(`mergePatches: H and W must be even, got [${height}, ${width}]`);
  }
  const [down, across] = [height / 2, width / 2];
  const [items, Item] = channels % 4 === 0 ? [channels / 4, 'vec4f'] : [channels, 'f32'];
  const images = size(x.shape.slice(0, -3));
  const launch = {
    params: { images, down, across, items }, tuning: { Item }, items: images * down * across * 4 * items,
  };
  const gather = (): Tensor => {
    const y = empty([...x.shape.slice(0, -3), down, across, 4 * channels], 'merged patches', x.dtype);
    dispatch('merge_patches/forward', { x, y }, launch);
    return y;
  };
  const output = record('mergePatches', [x], gather(), (dy) => {
    const dx = empty(x.shape, 'dx', x.dtype);
    dispatch('merge_patches/backward', { dy, dx }, launch);
    return [dx];
  });
  return recomputable(output, gather);
}
