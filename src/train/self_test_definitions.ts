// What the self-test holds the device to: three ops in f64, written to be read.

/** y = x Wᵀ + b over rows of x. */
export function linearDefinition(...[x, w, b]: Float64Array[]): Float64Array {
  const inputs = w!.length / b!.length;
  return Float64Array.from({ length: x!.length / inputs * b!.length }, (_, i) => {
    const [row, column] = [Math.floor(i / b!.length), i % b!.length];
    let sum = b![column]!;
    for (let k = 0; k < inputs; k++) sum += x![row * inputs + k]! * w![column * inputs + k]!;
    return sum;
  });
}

/** Each row of x with mean 0 and variance 1, scaled by w and shifted by b. */
export function layernormDefinition(...[x, w, b]: Float64Array[]): Float64Array {
  const channels = w!.length;
  const y = new Float64Array(x!.length);
  for (let at = 0; at < x!.length; at += channels) {
    const row = x!.subarray(at, at + channels);
    const mean = row.reduce((sum, v) => sum + v, 0) / channels;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / channels;
    row.forEach((v, c) => { y[at + c] = (v - mean) / Math.sqrt(variance + 1e-5) * w![c]! + b![c]!; });
  }
  return y;
}

/** A square map that shifted windows cut: four windows a side, some of them made of four regions. */
export const ATTENTION = { side: 28, windowSize: 7, shift: 3, heads: 3, headDim: 32 } as const;

/** softmax(q·k / √headDim + bias + mask)·v in every window and head of the map. */
export function attentionDefinition(...[qkv, table]: Float64Array[]): Float64Array {
  const { side, heads, headDim } = ATTENTION;
  const y = new Float64Array(side * side * heads * headDim);
  for (const tokens of windows()) {
    for (let head = 0; head < heads; head++) {
      for (const query of tokens) attend(y, qkv!, table!, head, query, tokens);
    }
  }
  return y;
}

/** Where a token lies in its window, on the map, and in which region of the shifted map. */
type Token = {
  readonly down: number; readonly across: number; readonly place: number; readonly region: number;
};

function windows(): Token[][] {
  const { side, windowSize, shift } = ATTENTION;
  const regionOf = (at: number): number => at < side - windowSize ? 0 : at < side - shift ? 1 : 2;
  const starts = Array.from({ length: side / windowSize }, (_, i) => i * windowSize);
  return starts.flatMap((top) => starts.map((left) => Array.from({ length: windowSize ** 2 }, (_, i) => {
    const [down, across] = [Math.floor(i / windowSize), i % windowSize];
    const place = (top + down + shift) % side * side + (left + across + shift) % side;
    return { down, across, place, region: 3 * regionOf(top + down) + regionOf(left + across) };
  })));
}

function attend(
  y: Float64Array, qkv: Float64Array, table: Float64Array,
  head: number, query: Token, tokens: readonly Token[],
): void {
  const { windowSize, heads, headDim } = ATTENTION;
  const at = ({ place }: Token, part: number): number => ((place * 3 + part) * heads + head) * headDim;
  const scores = tokens.map((key) => {
    let dot = 0;
    for (let d = 0; d < headDim; d++) dot += qkv[at(query, 0) + d]! * qkv[at(key, 1) + d]!;
    const row = query.down - key.down + windowSize - 1;
    const offset = row * (2 * windowSize - 1) + query.across - key.across + windowSize - 1;
    const mask = query.region === key.region ? 0 : -100;
    return dot / Math.sqrt(headDim) + table[offset * heads + head]! + mask;
  });
  const largest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  tokens.forEach((key, j) => {
    for (let d = 0; d < headDim; d++) {
      y[(query.place * heads + head) * headDim + d]! += weights[j]! / sum * qkv[at(key, 2) + d]!;
    }
  });
}
