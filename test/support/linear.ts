/** y[g, m, n] = Σ_k x[g, m, k] w[g, n, k] + b[g, n] in f64. */
export function linearDefinition(m: number, n: number, k: number, batch = 1) {
  return (x: Float64Array, w: Float64Array, b?: Float64Array): Float64Array =>
    Float64Array.from({ length: batch * m * n }, (_, i) => {
      const [g, row, column] = [Math.floor(i / (m * n)), Math.floor(i / n) % m, i % n];
      let sum = b ? b[g * n + column]! : 0;
      for (let j = 0; j < k; j++) sum += x[(g * m + row) * k + j]! * w[(g * n + column) * k + j]!;
      return sum;
    });
}
