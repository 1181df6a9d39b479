import type { Vec3 } from './affine.ts';
import type { Random } from './random.ts';

export type Pattern =
  'plain' | 'checks' | 'stripes' | 'bands' | 'planks' | 'bricks' | 'spots' | 'cloudy' | 'grain';

/** What a surface looks like; colours are linear (not gamma-coded) RGB in 0..1. */
export type Material = {
  readonly colour: Vec3;
  readonly second: Vec3;
  readonly pattern: Pattern;
  /** Repeats of the pattern in a metre. */
  readonly frequency: number;
  /** Strength of the highlight, 0..1. */
  readonly gloss: number;
};

/** Linear RGB of hue (turns), saturation and value. */
export function hsv(hue: number, saturation: number, value: number): Vec3 {
  const channel = (offset: number): number => {
    const k = (offset + hue * 6) % 6;
    return (value * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1)))) ** 2.2;
  };
  return [channel(5), channel(3), channel(1)];
}

export function plain(colour: Vec3, gloss = 0): Material {
  return { colour, second: colour, pattern: 'plain', frequency: 1, gloss };
}

export function patterned(
  pattern: Pattern,
  colour: Vec3,
  second: Vec3,
  frequency: number,
  gloss = 0,
): Material {
  return { colour, second, pattern, frequency, gloss };
}

/** A hue within `spread` turns of `hue`, with the saturation and value drawn from their ranges. */
export function tint(
  random: Random,
  hue: number,
  spread: number,
  saturation: readonly [number, number],
  value: readonly [number, number],
): Vec3 {
  const turns = (hue + random.between(-spread, spread) + 1) % 1;
  return hsv(turns, random.between(...saturation), random.between(...value));
}

/** Pseudo-random 0..1 of a lattice point. */
function lattice(x: number, y: number, z: number): number {
  let h = Math.imul(x, 0x8da6b343) ^ Math.imul(y, 0xd8163841) ^ Math.imul(z, 0xcb1ab31f);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return ((h ^ (h >>> 13)) >>> 0) / 4294967296;
}

/** 0 to 1 with level ends. */
const smooth = (f: number): number => f * f * (3 - 2 * f);

/** Value noise: trilinear between lattice points, smoothed; 0..1. */
export function noise(x: number, y: number, z: number): number {
  const ix = Math.floor(x);
  const iy = Math.floor(y);
  const iz = Math.floor(z);
  const fx = smooth(x - ix);
  const fy = smooth(y - iy);
  const fz = smooth(z - iz);
  let sum = 0;
  for (let corner = 0; corner < 8; corner++) {
    const cx = corner & 1;
    const cy = (corner >> 1) & 1;
    const cz = corner >> 2;
    const weight = (cx ? fx : 1 - fx) * (cy ? fy : 1 - fy) * (cz ? fz : 1 - fz);
    sum += weight * lattice(ix + cx, iy + cy, iz + cz);
  }
  return sum;
}

const odd = (value: number): number => Math.floor(value) & 1;
const fraction = (value: number): number => value - Math.floor(value);

/** How much of the second colour shows at a point (u, v, w), given in repeats of the pattern; 0..1. */
function secondShare(pattern: Pattern, u: number, v: number, w: number): number {
  switch (pattern) {
    case 'plain':
      return 0;
    case 'checks':
      return odd(u + 1e-3) ^ odd(v + 1e-3) ^ odd(w + 1e-3);
    case 'stripes':
      return odd(u + w);
    case 'bands':
      return odd(v);
    case 'planks':
      return fraction(u) < 0.06 ? 1 : 0.5 * lattice(Math.floor(u), 0, 0) + 0.3 * noise(u * 7, v, w);
    case 'bricks': {
      const row = Math.floor(v);
      const across = (u + w) / 2.2 + 0.5 * (row & 1);
      if (fraction(v) < 0.12 || fraction(across) < 0.06) return 1;
      return 0.3 * lattice(row, Math.floor(across), 0);
    }
    case 'spots':
      return noise(u, v, w) > 0.58 ? 1 : 0;
    case 'cloudy':
      return noise(u, v, w) * 0.65 + noise(u * 2.7, v * 2.7, w * 2.7) * 0.35;
    case 'grain':
      return lattice(Math.floor(u * 3), Math.floor(v * 3), Math.floor(w * 3));
  }
}

/** Albedo at a point given in metres along the solid's own axes. */
export function albedo(material: Material, x: number, y: number, z: number): Vec3 {
  const { colour, second, frequency } = material;
  const t = secondShare(material.pattern, x * frequency, y * frequency, z * frequency);
  return [
    colour[0] + (second[0] - colour[0]) * t,
    colour[1] + (second[1] - colour[1]) * t,
    colour[2] + (second[2] - colour[2]) * t,
  ];
}
