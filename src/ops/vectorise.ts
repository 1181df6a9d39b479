import type { Tuning } from '../gpu/wgsl.ts';

/** How a kernel whose elements are of `alias Item` reads memory: `width` floats at once. */
export type Items = { readonly width: 1 | 4; readonly tuning: Tuning };

/** Whole vec4f where every extent (in floats) is a multiple of four, else single floats. */
export function itemsFor(...extents: readonly number[]): Items {
  return extents.every((extent) => extent % 4 === 0)
    ? { width: 4, tuning: {} }
    : { width: 1, tuning: { Item: 'f32' } };
}
