// Four solids in their own coordinates, each inside the cube |x|, |y|, |z| ≤ 1 (a capsule is longer in y).
//
//   ball      x² + y² + z² ≤ 1
//   frustum   |y| ≤ 1, x² + z² ≤ r(y)²        r(y) = 1 at y = −1, `taper` at y = 1, linear between
//   block     |y| ≤ 1, |x|, |z| ≤ r(y)
//   capsule   distance to the segment |y| ≤ `taper` on the y axis ≤ 1
//
// A ray is o + t·d. `hit` gives the first t > 0 and `normalAt` the outward normal of a point known to lie on
// the surface, so that normals are found only for what stays visible.

type Normal = [number, number, number];
export type Kind = 'ball' | 'frustum' | 'block' | 'capsule';

/** Smallest positive root of a·t² + 2·b·t + c, Infinity without one. */
function firstRoot(a: number, b: number, c: number): number {
  const disc = b * b - a * c;
  if (disc < 0) return Infinity;
  const t = (-b - Math.sqrt(disc)) / a;
  return t > 0 ? t : Infinity;
}

function hitFrustum(
  taper: number, ox: number, oy: number, oz: number, dx: number, dy: number, dz: number,
): number {
  const slope = (taper - 1) / 2;
  const radius = (taper + 1) / 2 + slope * oy;                    // r at the ray's origin
  const a = dx * dx + dz * dz - slope * slope * dy * dy;
  const b = ox * dx + oz * dz - radius * slope * dy;
  const root = Math.sqrt(b * b - a * (ox * ox + oz * oz - radius * radius));     // NaN where the ray passes
  let best = Infinity;
  for (let side = -1; side <= 1; side += 2) {
    const t = (-b + side * root) / a;
    const y = oy + t * dy;
    if (t > 0 && t < best && y >= -1 && y <= 1 && radius + slope * t * dy >= 0) best = t;
  }
  for (let y = -1; y <= 1; y += 2) {
    const t = (y - oy) / dy;
    const x = ox + t * dx;
    const z = oz + t * dz;
    const r = y < 0 ? 1 : taper;
    if (t > 0 && t < best && x * x + z * z <= r * r) best = t;
  }
  return best;
}

/** Clips the ray against the six half-spaces. */
function hitBlock(
  taper: number, ox: number, oy: number, oz: number, dx: number, dy: number, dz: number,
): number {
  const slope = (taper - 1) / 2;
  const radius = (taper + 1) / 2 + slope * oy;
  let enter = 0;
  let leave = Infinity;
  for (let face = 0; face < 6; face++) {
    const side = face & 1 ? 1 : -1;
    // distance·1 = value at the origin (positive outside), speed = its change along the ray
    const distance = face < 2 ? side * oy - 1 : side * (face < 4 ? ox : oz) - radius;
    const speed = face < 2 ? side * dy : side * (face < 4 ? dx : dz) - slope * dy;
    if (speed === 0) {
      if (distance > 0) return Infinity;
      continue;
    }
    const t = -distance / speed;
    if (speed < 0) { if (t > enter) enter = t; } else if (t < leave) leave = t;
    if (enter > leave) return Infinity;
  }
  return enter > 0 ? enter : Infinity;
}

function hitCapsule(
  half: number, ox: number, oy: number, oz: number, dx: number, dy: number, dz: number,
): number {
  const t = firstRoot(dx * dx + dz * dz, ox * dx + oz * dz, ox * ox + oz * oz - 1);
  if (Math.abs(oy + t * dy) <= half) return t;
  const dd = dx * dx + dy * dy + dz * dz;
  let best = Infinity;
  for (let end = -1; end <= 1; end += 2) {
    const y = oy - end * half;
    best = Math.min(best, firstRoot(dd, ox * dx + y * dy + oz * dz, ox * ox + y * y + oz * oz - 1));
  }
  return best;
}

/** First t > 0 at which the ray meets the solid from outside; Infinity if it passes. */
export function hit(
  kind: Kind, taper: number, ox: number, oy: number, oz: number, dx: number, dy: number, dz: number,
): number {
  if (kind === 'ball') {
    const along = ox * dx + oy * dy + oz * dz;
    return firstRoot(dx * dx + dy * dy + dz * dz, along, ox * ox + oy * oy + oz * oz - 1);
  }
  if (kind === 'frustum') return hitFrustum(taper, ox, oy, oz, dx, dy, dz);
  if (kind === 'block') return hitBlock(taper, ox, oy, oz, dx, dy, dz);
  return hitCapsule(taper, ox, oy, oz, dx, dy, dz);
}

/** Outward normal (of any length) at a point of the surface. */
export function normalAt(kind: Kind, taper: number, x: number, y: number, z: number): Normal {
  if (kind === 'ball') return [x, y, z];
  if (kind === 'capsule') return [x, y - Math.max(-taper, Math.min(taper, y)), z];
  const slope = (taper - 1) / 2;
  const radius = (taper + 1) / 2 + slope * y;
  const toCap = 1 - Math.abs(y);
  const reach = kind === 'frustum' ? Math.hypot(x, z) : Math.max(Math.abs(x), Math.abs(z));
  if (toCap < radius - reach) return [0, Math.sign(y), 0];
  if (kind === 'frustum') return [x, -slope * reach, z];
  return Math.abs(x) > Math.abs(z) ? [Math.sign(x), -slope, 0] : [0, -slope, Math.sign(z)];
}
