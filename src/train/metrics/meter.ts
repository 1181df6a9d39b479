// What every meter is: fed with batches of raw network outputs, asked for its scores once all are in.

/** `logits` [B, C, H, W] · `labels` [B, 1, H, W], normals [B, 3, H, W]; 255 marks what does not count. */
export type Batch = {
  readonly logits: Float32Array;
  readonly labels: Float32Array | Uint8Array;
  readonly shape: readonly [number, number, number, number];
};

export type Scores = Readonly<Record<string, number>>;

export type Meter = {
  readonly update: (batch: Batch) => void;
  readonly scores: () => Scores;
};

export const IGNORE = 255;

/** Throws unless a batch has `channels` logits and `labelChannels` labels a pixel. */
export function expectBatch(name: string, { logits, labels, shape }: Batch,
  channels: number, labelChannels = 1): void {
  const [images, given, height, width] = shape;
  const pixels = images * height * width;
  const listed = `[${shape.join(', ')}]`;
  if (given !== channels) throw new Error(`${name}: logits must have ${channels} channels, got ${listed}`);
  if (logits.length !== pixels * channels) {
    throw new Error(`${name}: logits ${listed} must hold ${pixels * channels} values, got ${logits.length}`);
  }
  if (labels.length !== pixels * labelChannels) {
    throw new Error(`${name}: labels must hold ${pixels * labelChannels} values, got ${labels.length}`);
  }
}

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** The logit whose sigmoid is `probability`. */
export function logitOf(probability: number): number {
  if (probability <= 0) return -Infinity;
  return probability >= 1 ? Infinity : Math.log(probability / (1 - probability));
}
