// Edges of a map of classes: where its Laplacian is not 0, thinned to one pixel.

/** 1 where the 3x3 Laplacian (centre −4, reflected at the border) of `classes` [height, width] is not 0. */
export function classEdges(classes: ArrayLike<number>, height: number, width: number): Uint8Array {
  const edges = new Uint8Array(height * width);
  for (let y = 0; y < height; y++) {
    const up = mirror(y - 1, height) * width;
    const down = mirror(y + 1, height) * width;
    for (let x = 0; x < width; x++) {
      const row = y * width;
      const across = classes[row + mirror(x - 1, width)]! + classes[row + mirror(x + 1, width)]!;
      const laplacian = classes[up + x]! + classes[down + x]! + across - 4 * classes[row + x]!;
      edges[row + x] = laplacian === 0 ? 0 : 1;
    }
  }
  return edges;
}

/** Index −1 is 1 and `size` is size − 2: the border pixel itself is not repeated. */
function mirror(i: number, size: number): number {
  if (size === 1) return 0;
  return i < 0 ? -i : i >= size ? 2 * size - 2 - i : i;
}

/**
 * Morphological thinning (Guo and Hall's conditions in the form of Lam, Lee and Suen, 1992): peels `mask`
 * from alternate sides until nothing changes. Lines stay connected; outside the picture is background.
 */
export function thin(mask: Uint8Array, height: number, width: number): Uint8Array {
  // A frame of background, so that no pixel has fewer than eight neighbours.
  const stride = width + 2;
  const framed = new Uint8Array(stride * (height + 2));
  for (let y = 0; y < height; y++) {
    framed.set(mask.subarray(y * width, (y + 1) * width), (y + 1) * stride + 1);
  }
  // East, north-east, north, … counter-clockwise: bit k of a neighbourhood is the k-th of them.
  const around = [1, 1 - stride, -stride, -1 - stride, -1, stride - 1, stride, stride + 1];

  let live: number[] = [];
  framed.forEach((on, i) => on && live.push(i));
  for (let before = -1; live.length !== before;) {
    before = live.length;
    for (const removable of REMOVABLE) {
      // All pixels of a pass are judged on the same picture, and only then removed.
      const gone = live.filter((i) => removable[neighbours(framed, i, around)]);
      for (const i of gone) framed[i] = 0;
      live = live.filter((i) => framed[i]);
    }
  }
  const thinned = new Uint8Array(height * width);
  for (const i of live) thinned[(Math.floor(i / stride) - 1) * width + (i % stride) - 1] = 1;
  return thinned;
}

function neighbours(framed: Uint8Array, i: number, around: readonly number[]): number {
  let bits = 0;
  for (let k = 0; k < 8; k++) bits |= framed[i + around[k]!]! << k;
  return bits;
}

/** For each of a pass's two halves: may a pixel with these neighbours go? */
const REMOVABLE = [0, 4].map((side) => Uint8Array.from({ length: 256 }, (_, bits) => {
  const x = (k: number): boolean => ((bits >> ((k - 1) % 8)) & 1) === 1;
  let [crossings, before, after] = [0, 0, 0];
  for (const k of [1, 3, 5, 7]) {
    if (!x(k) && (x(k + 1) || x(k + 2))) crossings++;
    if (x(k) || x(k + 1)) before++;
    if (x(k + 1) || x(k + 2)) after++;
  }
  const fewest = Math.min(before, after);
  const sheltered = (x(2 + side) || x(3 + side) || !x(8 - side)) && x(1 + side);
  return crossings === 1 && fewest >= 2 && fewest <= 3 && !sheltered ? 1 : 0;
}));
