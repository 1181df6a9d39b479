// Network outputs as pictures, as the release hands them to its meters and files.
import { sigmoid } from './meter.ts';

/** Shortest vector that counts as having a direction. */
const MIN_NORM = 1e-12;

/**
 * The class of each pixel of one image: its largest logit, the first of equals.
 *
 * @param logits [B, C, H, W], of which `image` is read
 * @param best scratch [H·W]
 * @param classes [H·W], written
 */
export function classify(logits: Float32Array, image: number, channels: number,
  best: Float32Array, classes: Uint8Array): void {
  const pixels = best.length;
  const start = image * channels * pixels;
  best.set(logits.subarray(start, start + pixels));
  classes.fill(0);
  for (let channel = 1; channel < channels; channel++) {
    const plane = start + channel * pixels;
    for (let i = 0; i < pixels; i++) {
      const value = logits[plane + i]!;
      if (value > best[i]!) {
        best[i] = value;
        classes[i] = channel;
      }
    }
  }
}

/** Classes [B, H, W] of logits [B, C, H, W]. */
export function classMap(logits: Float32Array, [images, channels, height, width]:
  readonly [number, number, number, number]): Uint8Array {
  const pixels = height * width;
  const [classes, best] = [new Uint8Array(images * pixels), new Float32Array(pixels)];
  for (let image = 0; image < images; image++) {
    classify(logits, image, channels, best, classes.subarray(image * pixels, (image + 1) * pixels));
  }
  return classes;
}

/** 255 · sigmoid, for saliency and edges [B, 1, H, W]. */
export function probabilityMap(logits: Float32Array): Float32Array {
  return logits.map((x) => 255 * sigmoid(x));
}

/** Unit vectors [B, 3, H, W] as colours [B, H, W, 3] in 0 … 255. */
export function normalMap(logits: Float32Array, [images, , height, width]:
  readonly [number, number, number, number]): Float32Array {
  const pixels = height * width;
  const colours = new Float32Array(logits.length);
  for (let image = 0; image < images; image++) {
    for (let i = 0; i < pixels; i++) {
      const at = image * 3 * pixels + i;
      const x = logits[at]!;
      const y = logits[at + pixels]!;
      const z = logits[at + 2 * pixels]!;
      const length = Math.max(Math.sqrt(x * x + y * y + z * z), MIN_NORM);
      const out = 3 * (image * pixels + i);
      colours[out] = (x / length + 1) * 127.5;
      colours[out + 1] = (y / length + 1) * 127.5;
      colours[out + 2] = (z / length + 1) * 127.5;
    }
  }
  return colours;
}
