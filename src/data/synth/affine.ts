/** A point, direction or colour. */
export type Vec3 = readonly [number, number, number];

/** p ↦ L·p + t, row-major 3x4: [l00 l01 l02 t0, l10 l11 l12 t1, l20 l21 l22 t2]. */
export type Affine = readonly number[];

export const add = (a: Vec3, b: Vec3): Vec3 => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
export const scaled = (a: Vec3, by: number): Vec3 => [a[0] * by, a[1] * by, a[2] * by];
export const dot = (a: Vec3, b: Vec3): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const unitVector = (a: Vec3): Vec3 => scaled(a, 1 / Math.sqrt(dot(a, a)));
const cross = (a: Vec3, b: Vec3): Vec3 => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
/** a + by·b */
export const along = (a: Vec3, b: Vec3, by: number): Vec3 => [
  a[0] + b[0] * by,
  a[1] + b[1] * by,
  a[2] + b[2] * by,
];
/** a at 0, b at 1 */
export const lerp = (a: Vec3, b: Vec3, t: number): Vec3 => along(scaled(a, 1 - t), b, t);

/** First b, then a. */
function compose(a: Affine, b: Affine): Affine {
  const out: number[] = [];
  for (let row = 0; row < 3; row++) {
    for (let col = 0; col < 4; col++) {
      let sum = col === 3 ? a[row * 4 + 3]! : 0;
      for (let k = 0; k < 3; k++) sum += a[row * 4 + k]! * b[k * 4 + col]!;
      out.push(sum);
    }
  }
  return out;
}

/** First the last, at the end the first. */
export const chain = (...steps: readonly Affine[]): Affine => steps.reduce(compose);

export const translation = ([x, y, z]: Vec3): Affine => [1, 0, 0, x, 0, 1, 0, y, 0, 0, 1, z];
export const scaling = ([x, y, z]: Vec3): Affine => [x, 0, 0, 0, 0, y, 0, 0, 0, 0, z, 0];

/** Rotation about the axis x (0), y (1) or z (2), right-handed. */
export function rotation(axis: 0 | 1 | 2, angle: number): Affine {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  if (axis === 0) return [1, 0, 0, 0, 0, c, -s, 0, 0, s, c, 0];
  if (axis === 1) return [c, 0, s, 0, 0, 1, 0, 0, -s, 0, c, 0];
  return [c, -s, 0, 0, s, c, 0, 0, 0, 0, 1, 0];
}

/** Rotation that takes the y axis to `direction`, and the origin to `centre`. */
export function aligned(centre: Vec3, direction: Vec3): Affine {
  const y = unitVector(direction);
  const x = unitVector(cross(y, Math.abs(y[2]) < 0.9 ? [0, 0, 1] : [1, 0, 0]));
  const z = cross(x, y);
  return [x[0], y[0], z[0], centre[0], x[1], y[1], z[1], centre[1], x[2], y[2], z[2], centre[2]];
}

export function applied(m: Affine, [x, y, z]: Vec3): Vec3 {
  return [
    m[0]! * x + m[1]! * y + m[2]! * z + m[3]!,
    m[4]! * x + m[5]! * y + m[6]! * z + m[7]!,
    m[8]! * x + m[9]! * y + m[10]! * z + m[11]!,
  ];
}

/** The inverse map: L⁻¹ by cofactors, −L⁻¹·t. */
export function inverse(m: Affine): Affine {
  const [a, b, c, , d, e, f, , g, h, i] = m as number[] as [number, ...number[]] & number[];
  const cof = [
    [e! * i! - f! * h!, c! * h! - b! * i!, b! * f! - c! * e!],
    [f! * g! - d! * i!, a * i! - c! * g!, c! * d! - a * f!],
    [d! * h! - e! * g!, b! * g! - a * h!, a * e! - b! * d!],
  ];
  const det = a * cof[0]![0]! + b! * cof[1]![0]! + c! * cof[2]![0]!;
  return cof.flatMap((row) => {
    const [x, y, z] = row.map((value) => value / det) as [number, number, number];
    return [x, y, z, -(x * m[3]! + y * m[7]! + z * m[11]!)];
  });
}
