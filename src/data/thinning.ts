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
  const thinned = mask.slice();
  let live = [...thinned.keys()].filter((i) => thinned[i]);
  for (let before = -1; live.length !== before;) {
    before = live.length;
    for (const removable of REMOVABLE) {
      // All pixels of a pass are judged on the same picture, and only then removed.
      const gone = live.filter((i) => removable[neighbours(thinned, i, height, width)]);
      for (const i of gone) thinned[i] = 0;
      live = live.filter((i) => thinned[i]);
    }
  }
  return thinned;
}

/** Bit k is the k-th neighbour: east, north-east, north, … counter-clockwise. */
const AROUND = [[1, 0], [1, -1], [0, -1], [-1, -1], [-1, 0], [-1, 1], [0, 1], [1, 1]] as const;

function neighbours(mask: Uint8Array, i: number, height: number, width: number): number {
  const x = i % width;
  const y = (i - x) / width;
  let bits = 0;
  for (let k = 0; k < 8; k++) {
    const [nx, ny] = [x + AROUND[k]![0], y + AROUND[k]![1]];
    if (nx >= 0 && ny >= 0 && nx < width && ny < height && mask[ny * width + nx]) bits |= 1 << k;
  }
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
