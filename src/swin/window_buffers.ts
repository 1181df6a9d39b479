// The two buffers of Swin that follow from sizes alone. Kernels compute them where they need them; state
// dicts carry them.

/**
 * Which row of the bias table serves each pair of tokens of a window, [area, area]: the offset from key to
 * query, both axes shifted to start at 0.
 */
export function positionIndex(window: number): BigInt64Array<ArrayBuffer> {
  const area = window ** 2;
  const offset = (i: number, j: number): number => i - j + window - 1;
  return BigInt64Array.from({ length: area ** 2 }, (_, at) => {
    const [i, j] = [Math.floor(at / area), at % area];
    const [dy, dx] = [offset(Math.floor(i / window), Math.floor(j / window)), offset(i % window, j % window)];
    return BigInt(dy * (2 * window - 1) + dx);
  });
}

/**
 * What is added to the scores of each window of a shifted grid, [windows, area, area]: −100 between tokens
 * that only the shift made neighbours, else 0.
 */
export function shiftMask(
  height: number, window: number, shift: number, width = height,
): Float32Array<ArrayBuffer> {
  const area = window ** 2;
  const across = width / window;
  const windows = across * height / window;
  const region = (at: number, side: number): number => at < side - window ? 0 : at < side - shift ? 1 : 2;
  const mask = new Float32Array(windows * area ** 2);
  for (let index = 0; index < windows; index++) {
    const [top, left] = [window * Math.floor(index / across), window * (index % across)];
    const regions = Array.from({ length: area }, (_, token) =>
      3 * region(top + Math.floor(token / window), height) + region(left + token % window, width));
    for (let pair = 0; pair < area ** 2; pair++) {
      const apart = regions[Math.floor(pair / area)] !== regions[pair % area];
      mask[index * area ** 2 + pair] = apart ? -100 : 0;
    }
  }
  return mask;
}
