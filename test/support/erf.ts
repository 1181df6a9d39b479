/** erf in f64, by its Taylor series below 3 and by the continued fraction of erfc above. */
export function erf(x: number): number {
  const v = Math.abs(x);
  if (v > 6) return Math.sign(x);
  if (v < 3) {
    let term = v;
    let sum = v;
    for (let n = 1; Math.abs(term) > 1e-18 * sum && n < 200; n++) {
      term *= -v * v / n;
      sum += term / (2 * n + 1);
    }
    return Math.sign(x) * 2 / Math.sqrt(Math.PI) * sum;
  }
  let fraction = 0;
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (v + fraction);
  return Math.sign(x) * (1 - Math.exp(-v * v) / (v + fraction) / Math.sqrt(Math.PI));
}
