// OpenCV's warpAffine: source coordinates in fixed point, 10 bits, one value everywhere outside the picture.
import { cubicWeights } from './resample.ts';
import { makeField } from './sample.ts';
import type { Field } from './sample.ts';

/** Maps an output position (x, y) to the source: [a, b, c, d, e, f] is (a·x + b·y + c, d·x + e·y + f). */
export type Affine = readonly [number, number, number, number, number, number];
/** Source coordinates in 1/1024 pixel: (x[column] + xRow[row], y[column] + yRow[row]). */
type Grid = {
  readonly x: Int32Array; readonly y: Int32Array; readonly xRow: Int32Array; readonly yRow: Int32Array;
};

const BITS = 10;
/** The cubic kernel is looked up at 1/32 pixel. */
const TABLE_BITS = 5;
const TABLE = Float32Array.from({ length: 4 << TABLE_BITS }, (_, i) =>
  cubicWeights((i >> 2) / (1 << TABLE_BITS))[i & 3]!);

/** The map from output to source of a rotation (counter-clockwise on screen) and scaling about the centre. */
export function inverseRotation(height: number, width: number, degrees: number, scale: number): Affine {
  const [cx, cy, radians] = [width / 2, height / 2, (degrees * Math.PI) / 180];
  const [a, b] = [scale * Math.cos(radians), scale * Math.sin(radians)];
  const [tx, ty] = [(1 - a) * cx - b * cy, b * cx + (1 - a) * cy];
  const r = 1 / (a * a + b * b);
  const [ia, ib, ic] = [a * r, -b * r, b * r];
  return [ia, ib, -ia * tx - ib * ty, ic, ia, -ic * tx - ia * ty];
}

export function warpNearest(field: Field, map: Affine, outside = 0): Field {
  const { height, width, channels, data } = field;
  const grid = sourceGrid(height, width, map, 1 << (BITS - 1));
  const out = new Float32Array(data.length).fill(outside);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const x = (grid.x[column]! + grid.xRow[row]!) >> BITS;
      const y = (grid.y[column]! + grid.yRow[row]!) >> BITS;
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      const [from, to] = [(y * width + x) * channels, (row * width + column) * channels];
      for (let c = 0; c < channels; c++) out[to + c] = data[from + c]!;
    }
  }
  return makeField(height, width, out);
}

/** For the fields that are smooth, pictures and normals: three channels, 0 outside. */
export function warpCubic({ height, width, data }: Field, map: Affine): Field {
  const shift = BITS - TABLE_BITS;
  const grid = sourceGrid(height, width, map, 1 << (shift - 1));
  const mask = (1 << TABLE_BITS) - 1;
  const out = new Float32Array(data.length);
  let to = 0;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++, to += 3) {
      const x = (grid.x[column]! + grid.xRow[row]!) >> shift;
      const y = (grid.y[column]! + grid.yRow[row]!) >> shift;
      const left = (x >> TABLE_BITS) - 1, top = (y >> TABLE_BITS) - 1;
      if (left <= -4 || top <= -4 || left >= width || top >= height) continue;
      const wx = (x & mask) << 2, wy = (y & mask) << 2;
      const firstX = Math.max(0, -left), lastX = Math.min(4, width - left);
      const firstY = Math.max(0, -top), lastY = Math.min(4, height - top);
      let s0 = 0, s1 = 0, s2 = 0;
      for (let j = firstY; j < lastY; j++) {
        const wRow = TABLE[wy + j]!;
        let from = ((top + j) * width + left + firstX) * 3;
        for (let i = firstX; i < lastX; i++, from += 3) {
          const w = TABLE[wx + i]! * wRow;
          s0 += data[from]! * w;
          s1 += data[from + 1]! * w;
          s2 += data[from + 2]! * w;
        }
      }
      out[to] = s0;
      out[to + 1] = s1;
      out[to + 2] = s2;
    }
  }
  return makeField(height, width, out);
}

function sourceGrid(height: number, width: number, [a, b, c, d, e, f]: Affine, delta: number): Grid {
  const fixed = (length: number, at: (i: number) => number, add: number): Int32Array =>
    Int32Array.from({ length }, (_, i) => roundHalfEven(at(i) * (1 << BITS)) + add);
  return {
    x: fixed(width, (i) => a * i, 0), xRow: fixed(height, (i) => b * i + c, delta),
    y: fixed(width, (i) => d * i, 0), yRow: fixed(height, (i) => e * i + f, delta),
  };
}

/** The rounding of x86 and of IEEE 754. */
function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
