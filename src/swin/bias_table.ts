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
  const fromSide = Math.sqrt(table.length / heads);
  const toSide = Math.sqrt(toLength);
  const taps = Array.from({ length: toSide }, (_, at) => tapsOf(at, fromSide, toSide));
  const out = new Float32Array(toLength * heads);
  for (let i = 0; i < out.length; i++) {
    const [head, offset] = [i % heads, Math.floor(i / heads)];
    const [rows, columns] = [taps[Math.floor(offset / toSide)]!, taps[offset % toSide]!];
    out[i] = weighted(rows, (row) =>
      weighted(columns, (column) => table[(row * fromSide + column) * heads + head]!));
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
