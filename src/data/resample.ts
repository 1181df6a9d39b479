// Resizing and affine warping as OpenCV defines them, so that labels agree exactly and pictures to rounding.
import { makeField } from './sample.ts';
import type { Field } from './sample.ts';

/** The taps of an axis: source indices and weights for each output position. */
type Taps = { readonly index: Int32Array; readonly weight: Float32Array };

/**
 * Bicubic kernel with a = −0.75: the weights of the four taps around a point `t` in [0, 1) past the second.
 * Each step is rounded to f32 as OpenCV's are, for the first one cancels: 2e-5 of a grey level hang on it.
 */
export function cubicWeights(t: number): [number, number, number, number] {
  const a = -0.75;
  const f = Math.fround;
  const far = f(t + 1);
  const first = f(f(f(f(f(f(f(a * far) - 5 * a) * far) + 8 * a) * far)) - 4 * a);
  const near = (d: number): number => f(f(f(f(f((a + 2) * d) - (a + 3)) * d) * d) + 1);
  const [second, third] = [near(t), near(f(1 - t))];
  return [first, second, third, f(f(f(1 - first) - second) - third)];
}

/** Nearest neighbour, without the half-pixel offset: source = ⌊o · in/out⌋. */
export function resizeNearest(field: Field, height: number, width: number): Field {
  if (field.height === height && field.width === width) return field;
  const { channels, data } = field;
  const columns = Int32Array.from({ length: width }, (_, x) => nearestIndex(x, field.width, width));
  const out = new Float32Array(height * width * channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const row = nearestIndex(y, field.height, height) * field.width * channels;
    for (let x = 0; x < width; x++) {
      const from = row + columns[x]! * channels;
      for (let c = 0; c < channels; c++) out[to++] = data[from + c]!;
    }
  }
  return makeField(height, width, out);
}

function nearestIndex(o: number, inSize: number, outSize: number): number {
  return Math.min(Math.floor(o * (inSize / outSize)), inSize - 1);
}

/** Bicubic, half-pixel centres, taps clamped to the picture, no smoothing when it shrinks; may overshoot. */
export function resizeCubic(field: Field, height: number, width: number): Field {
  if (field.height === height && field.width === width) return field;
  const { channels } = field;
  const across = resizeRows(field, cubicTaps(field.width, width), width);
  const { index, weight } = cubicTaps(field.height, height);
  const stride = width * channels;
  const out = new Float32Array(height * stride);
  for (let y = 0; y < height; y++) {
    const t = 4 * y;
    const w0 = weight[t]!, w1 = weight[t + 1]!, w2 = weight[t + 2]!, w3 = weight[t + 3]!;
    let i0 = index[t]! * stride, i1 = index[t + 1]! * stride;
    let i2 = index[t + 2]! * stride, i3 = index[t + 3]! * stride;
    for (let i = 0; i < stride; i++) {
      out[y * stride + i] = across[i0++]! * w0 + across[i1++]! * w1 + across[i2++]! * w2 + across[i3++]! * w3;
    }
  }
  return makeField(height, width, out);
}

function resizeRows(field: Field, { index, weight }: Taps, outWidth: number): Float64Array {
  const { height, width, channels, data } = field;
  const out = new Float64Array(height * outWidth * channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    const row = y * width * channels;
    for (let x = 0; x < outWidth; x++) {
      const t = 4 * x;
      const i0 = row + index[t]! * channels, i1 = row + index[t + 1]! * channels;
      const i2 = row + index[t + 2]! * channels, i3 = row + index[t + 3]! * channels;
      const w0 = weight[t]!, w1 = weight[t + 1]!, w2 = weight[t + 2]!, w3 = weight[t + 3]!;
      for (let c = 0; c < channels; c++) {
        out[to++] = data[i0 + c]! * w0 + data[i1 + c]! * w1 + data[i2 + c]! * w2 + data[i3 + c]! * w3;
      }
    }
  }
  return out;
}

function cubicTaps(inSize: number, outSize: number): Taps {
  const [index, weight] = [new Int32Array(4 * outSize), new Float32Array(4 * outSize)];
  for (let o = 0; o < outSize; o++) {
    const at = Math.fround((o + 0.5) * (inSize / outSize) - 0.5);
    const floor = Math.floor(at);
    weight.set(cubicWeights(Math.fround(at - floor)), 4 * o);
    for (let k = 0; k < 4; k++) index[4 * o + k] = Math.min(Math.max(floor - 1 + k, 0), inSize - 1);
  }
  return { index, weight };
}

/**
 * Bilinear, half-pixel centres, clamped to the picture, a row at a time: maps of many channels need never be
 * held at their full size.
 *
 * @returns the row `y` of the result, [width, channels], good until the next call
 */
export function linearRows(field: Field, height: number, width: number): (y: number) => Float32Array {
  const { channels, data } = field;
  const [across, down] = [linearTaps(field.width, width), linearTaps(field.height, height)];
  const out = new Float32Array(width * channels);
  return (y) => {
    const [top, bottom] = [0, 1].map((tap) => down.index[2 * y + tap]! * field.width * channels);
    const below = down.weight[y]!;
    let to = 0;
    for (let x = 0; x < width; x++) {
      const left = across.index[2 * x]! * channels, right = across.index[2 * x + 1]! * channels;
      const w = across.weight[x]!;
      for (let c = 0; c < channels; c++) {
        const upper = data[top! + left + c]! * (1 - w) + data[top! + right + c]! * w;
        const lower = data[bottom! + left + c]! * (1 - w) + data[bottom! + right + c]! * w;
        out[to++] = upper * (1 - below) + lower * below;
      }
    }
    return out;
  };
}

/** Two indices for each output position, and the second one's weight. */
function linearTaps(inSize: number, outSize: number): Taps {
  const [index, weight] = [new Int32Array(2 * outSize), new Float32Array(outSize)];
  for (let o = 0; o < outSize; o++) {
    const at = Math.max(Math.fround((o + 0.5) * (inSize / outSize) - 0.5), 0);
    const first = Math.min(Math.floor(at), inSize - 1);
    index.set([first, Math.min(first + 1, inSize - 1)], 2 * o);
    weight[o] = at - first;
  }
  return { index, weight };
}
