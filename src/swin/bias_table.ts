/** Sharpness of the cubic kernel; PyTorch's choice, where Catmull and Rom took −0.5. */
const A = -0.75;

type Taps = { readonly from: readonly number[]; readonly weights: readonly number[] };

/**
 * Resizes a relative position bias table to another window: it is a picture of offsets for each head, resized
 * bicubically with pixel centres kept and the border repeated.
 *
 * @param table [(2M−1)², heads]
 * @param toLength (2M′−1)²
 * @returns [(2M′−1)², heads]
 */
export function resizeBiasTable(table: Float32Array, heads: number, toLength: number): Float32Array {
  const [from, to] = [Math.sqrt(table.length / heads), Math.sqrt(toLength)];
  return resizeBicubic(table, [from, from, heads], [to, to]);
}

/** x [H, W, C] as [H′, W′, C]. */
export function resizeBicubic(
  x: Float32Array, [height, width, channels]: readonly [number, number, number],
  [toHeight, toWidth]: readonly [number, number],
): Float32Array {
  const tapsTo = (from: number, to: number): Taps[] =>
    Array.from({ length: to }, (_, at) => tapsOf(at, from, to));
  const [down, across] = [tapsTo(height, toHeight), tapsTo(width, toWidth)];
  const out = new Float32Array(toHeight * toWidth * channels);
  for (let i = 0; i < out.length; i++) {
    const [channel, pixel] = [i % channels, Math.floor(i / channels)];
    const [rows, columns] = [down[Math.floor(pixel / toWidth)]!, across[pixel % toWidth]!];
    out[i] = weighted(rows, (row) =>
      weighted(columns, (column) => x[(row * width + column) * channels + channel]!));
  }
  return out;
}

/** The four neighbours of output pixel `at`, and the kernel's value at the distance of each. */
function tapsOf(at: number, fromSide: number, toSide: number): Taps {
  const centre = (at + 0.5) * fromSide / toSide - 0.5;
  const neighbours = [-1, 0, 1, 2].map((step) => Math.floor(centre) + step);
  return {
    from: neighbours.map((index) => Math.min(Math.max(index, 0), fromSide - 1)),
    weights: neighbours.map((index) => cubic(Math.abs(centre - index))),
  };
}

function weighted({ from, weights }: Taps, value: (index: number) => number): number {
  return from.reduce((sum, index, tap) => sum + weights[tap]! * value(index), 0);
}

/** 1 at 0, 0 at 1 and 2, smooth between. */
function cubic(distance: number): number {
  const x = distance;
  if (x <= 1) return (A + 2) * x ** 3 - (A + 3) * x ** 2 + 1;
  return x < 2 ? A * (x ** 3 - 5 * x ** 2 + 8 * x - 4) : 0;
}
