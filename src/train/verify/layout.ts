/** [B, H, W, C] as [B, C, H, W], the layout of the PyTorch world. */
export function channelsFirst(values: Float32Array, shape: readonly number[]): Float32Array {
  const [batch, height, width, channels] = shape as [number, number, number, number];
  const area = height * width;
  const out = new Float32Array(values.length);
  for (let b = 0; b < batch; b++) {
    for (let p = 0; p < area; p++) {
      const from = (b * area + p) * channels;
      for (let c = 0; c < channels; c++) out[(b * channels + c) * area + p] = values[from + c]!;
    }
  }
  return out;
}

/** [B, C, H, W] as [B, H, W, C], the layout of the kernels. */
export function channelsLast(values: Float32Array, shape: readonly number[]): Float32Array {
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const area = height * width;
  const out = new Float32Array(values.length);
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < channels; c++) {
      const from = (b * channels + c) * area;
      for (let p = 0; p < area; p++) out[(b * area + p) * channels + c] = values[from + p]!;
    }
  }
  return out;
}

/** `[:, :, 1::k, 0::k]` of an NCHW tensor: what the files call `#subK`. */
export function everyPixel(
  values: Float32Array, [b, c, h, w]: readonly [number, number, number, number], k: number,
): Float32Array {
  const some: number[] = [];
  for (let plane = 0; plane < b * c; plane++) {
    for (let y = 1; y < h; y += k) {
      for (let x = 0; x < w; x += k) some.push(values[(plane * h + y) * w + x]!);
    }
  }
  return Float32Array.from(some);
}
