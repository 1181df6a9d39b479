// OpenCV's warpAffine: source coordinates in fixed point, 10 bits, outside the picture everything is 0.
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

export function warpNearest(field: Field, map: Affine): Field {
  const { height, width, channels, data } = field;
  const grid = sourceGrid(height, width, map, 1 << (BITS - 1));
  const out = new Float32Array(data.length);
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

export function warpCubic(field: Field, map: Affine): Field {
  const { height, width, channels, data } = field;
  const shift = BITS - TABLE_BITS;
  const grid = sourceGrid(height, width, map, 1 << (shift - 1));
  const mask = (1 << TABLE_BITS) - 1;
  const out = new Float32Array(data.length);
  let to = 0;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++, to += channels) {
      const x = (grid.x[column]! + grid.xRow[row]!) >> shift;
      const y = (grid.y[column]! + grid.yRow[row]!) >> shift;
      const [left, top] = [(x >> TABLE_BITS) - 1, (y >> TABLE_BITS) - 1];
      if (left <= -4 || top <= -4 || left >= width || top >= height) continue;
      const [wx, wy] = [(x & mask) << 2, (y & mask) << 2];
      const [firstX, lastX] = [Math.max(0, -left), Math.min(4, width - left)];
      const [firstY, lastY] = [Math.max(0, -top), Math.min(4, height - top)];
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let j = firstY; j < lastY; j++) {
          const at = ((top + j) * width + left) * channels + c;
          let line = 0;
          for (let i = firstX; i < lastX; i++) line += data[at + i * channels]! * TABLE[wx + i]!;
          sum += line * TABLE[wy + j]!;
        }
        out[to + c] = sum;
      }
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
