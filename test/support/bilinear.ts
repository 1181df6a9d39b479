/** Bilinear resize of x [N, h, w, C] to [N, outH, outW, C] in f64, align_corners = false. */
export function bilinear(
  x: Float64Array, [n, h, w, c]: readonly number[], outH: number, outW: number,
): Float64Array {
  const y = new Float64Array(n! * outH * outW * c!);
  const place = (o: number, from: number, to: number): [number, number, number] => {
    const src = Math.max(0, (o + 0.5) * from / to - 0.5);
    const low = Math.floor(src);
    return [low, Math.min(low + 1, from - 1), src - low];
  };
  y.forEach((_, i) => {
    const [channel, pixel] = [i % c!, Math.floor(i / c!)];
    const [ox, oy, image] = [pixel % outW, Math.floor(pixel / outW) % outH, Math.floor(pixel / outW / outH)];
    const [x0, x1, fx] = place(ox, w!, outW);
    const [y0, y1, fy] = place(oy, h!, outH);
    const at = (row: number, column: number): number => x[((image * h! + row) * w! + column) * c! + channel]!;
    const along = (row: number): number => (1 - fx) * at(row, x0) + fx * at(row, x1);
    y[i] = (1 - fy) * along(y0) + fy * along(y1);
  });
  return y;
}
