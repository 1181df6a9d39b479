import { size, type Shape } from '../autograd/shape.ts';
import { recomputable } from '../autograd/recall.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch, type Launch } from '../gpu/program.ts';

/**
 * Concatenates 2×2 neighbours along the channels, in the order (row, column) 00, 10, 01, 11.
 *
 * @param x [..., H, W, C] of even H and W
 * @returns [..., H/2, W/2, 4C]
 */
export function mergePatches(x: Tensor): Tensor {
  const shape = mergedShape('mergePatches', x.shape);
  const gather = (): Tensor => {
    const y = empty(shape, 'merged patches', x.dtype);
    gatherPatches(x, y);
    return y;
  };
  const output = record('mergePatches', [x], gather(), (dy) => {
    const dx = empty(x.shape, 'dx', x.dtype);
    scatterPatches(dy, dx);
    return [dx];
  });
  return recomputable(output, gather);
}

/** [..., H/2, W/2, 4C] of x [..., H, W, C]. @throws Error where H or W is odd */
export function mergedShape(op: string, shape: Shape): Shape {
  const [height, width, channels] = shape.slice(-3) as [number, number, number];
  if (height % 2 !== 0 || width % 2 !== 0) {
    throw new Error(`${op}: H and W must be even, got [${height}, ${width}]`);
  }
  return [...shape.slice(0, -3), height / 2, width / 2, 4 * channels];
}

/** y = merged x, outside of the tape. */
export function gatherPatches(x: Tensor, y: Tensor): void {
  dispatch('merge_patches/forward', { x, y }, launchFor(y.shape));
}

/** The way back: dx out of dy of the merged shape. */
export function scatterPatches(dy: Tensor, dx: Tensor): void {
  dispatch('merge_patches/backward', { dy, dx }, launchFor(dy.shape));
}

function launchFor(merged: Shape): Launch {
  const [down, across, wide] = merged.slice(-3) as [number, number, number];
  const channels = wide / 4;
  const [items, Item] = channels % 4 === 0 ? [channels / 4, 'vec4f'] : [channels, 'f32'];
  const images = size(merged.slice(0, -3));
  return {
    params: { images, down, across, items }, tuning: { Item }, items: images * down * across * 4 * items,
  };
}
