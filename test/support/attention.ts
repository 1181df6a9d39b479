/** Window attention in f64, written to be read: roll, cut into windows, mask, attend, put back, roll back. */
export type AttentionCase = {
  readonly batch: number; readonly height: number; readonly width: number;
  readonly heads: number; readonly headDim: number; readonly windowSize: number; readonly shift: number;
};

/** qkv [batch, height, width, 3 · heads · headDim], table [(2 windowSize − 1)², heads] */
export function attentionDefinition(of: AttentionCase) {
  const { batch, height, width, heads, headDim, windowSize: side, shift } = of;
  const channels = heads * headDim;
  const area = side * side;
  const region = (at: number, length: number): number => at < length - side ? 0 : at < length - shift ? 1 : 2;
  return (...[qkv, table]: Float64Array[]): Float64Array => {
    const y = new Float64Array(batch * height * width * channels);
    for (let image = 0; image < batch; image++) {
      for (let top = 0; top < height; top += side) {
        for (let left = 0; left < width; left += side) {
          const tokens = Array.from({ length: area }, (_, i) => {
            const [down, across] = [Math.floor(i / side), i % side];
            const [row, column] = [top + down, left + across];
            const place = (image * height + (row + shift) % height) * width + (column + shift) % width;
            return { down, across, place, id: shift ? 3 * region(row, height) + region(column, width) : 0 };
          });
          for (let head = 0; head < heads; head++) attend(qkv!, table!, y, tokens, head);
        }
      }
    }
    return y;
  };

  function attend(
    qkv: Float64Array, table: Float64Array, y: Float64Array, tokens: readonly Token[], head: number,
  ): void {
    const at = (token: Token, part: number): number => (token.place * 3 + part) * channels + head * headDim;
    for (const query of tokens) {
      const scores = tokens.map((key) => {
        let dot = 0;
        for (let d = 0; d < headDim; d++) dot += qkv[at(query, 0) + d]! * qkv[at(key, 1) + d]!;
        const [down, across] = [query.down - key.down + side - 1, query.across - key.across + side - 1];
        const offset = down * (2 * side - 1) + across;
        return dot / Math.sqrt(headDim) + table[offset * heads + head]! + (query.id === key.id ? 0 : -100);
      });
      const largest = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - largest));
      const sum = weights.reduce((a, b) => a + b, 0);
      tokens.forEach((key, j) => {
        for (let d = 0; d < headDim; d++) {
          y[query.place * channels + head * headDim + d]! += weights[j]! / sum * qkv[at(key, 2) + d]!;
        }
      });
    }
  }
}

type Token = { readonly down: number; readonly across: number; readonly place: number; readonly id: number };
