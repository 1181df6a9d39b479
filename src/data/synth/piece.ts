import { add, aligned, chain, type Affine, scaled, scaling, translation, type Vec3 } from './affine.ts';
import type { Material } from './material.ts';
import type { Kind } from './solid.ts';

/** One solid of a model, placed in the model's coordinates: y up from the ground, z to its front, metres. */
export type Piece = {
  readonly kind: Kind;
  /** See solid.ts. */
  readonly taper: number;
  readonly place: Affine;
  readonly material: Material;
  /** Name of a body part as PASCAL-Part says it, for people only. */
  readonly part?: string;
  /** What PASCAL-Context calls it where that differs from its model's own class. */
  readonly context?: number;
};

const UPRIGHT: Affine = translation([0, 0, 0]);

/** Ellipsoid with semi-axes `radii`. */
export function ball(centre: Vec3, radii: Vec3, material: Material, turned: Affine = UPRIGHT): Piece {
  return { kind: 'ball', taper: 0, place: chain(translation(centre), turned, scaling(radii)), material };
}

/** Box of full size `size`; its upper face is `taper` times the lower one. */
export function block(
  centre: Vec3,
  size: Vec3,
  material: Material,
  turned: Affine = UPRIGHT,
  taper = 1,
): Piece {
  return {
    kind: 'block',
    taper,
    place: chain(translation(centre), turned, scaling(scaled(size, 0.5))),
    material,
  };
}

/** Cylinder or cone from `from` (radius `radius`) to `to` (radius `taper · radius`). */
export function tube(from: Vec3, to: Vec3, radius: number, material: Material, taper = 1): Piece {
  const axis = add(to, scaled(from, -1));
  const half = Math.hypot(...axis) / 2;
  const place = chain(aligned(scaled(add(from, to), 0.5), axis), scaling([radius, half, radius]));
  return { kind: 'frustum', taper, place, material };
}

/** Rod with round ends whose axis runs from `from` to `to`. */
export function rod(from: Vec3, to: Vec3, radius: number, material: Material): Piece {
  const axis = add(to, scaled(from, -1));
  const half = Math.hypot(...axis) / 2;
  const place = chain(aligned(scaled(add(from, to), 0.5), axis), scaling([radius, radius, radius]));
  return { kind: 'capsule', taper: half / radius, place, material };
}
