import type { Shape } from '../../autograd/shape.ts';
import { transpose } from '../../data/host_tensor.ts';

/** How the elements of a tensor in a file, of the file's `shape`, lie on the device. */
export type Layout = {
  readonly toDevice: (values: Float32Array, shape: Shape) => Float32Array;
  readonly toFile: (values: Float32Array, shape: Shape) => Float32Array;
};

export const PLAIN: Layout = { toDevice: (values) => values, toFile: (values) => values };

/** [out, r] lies as [r, out]. */
export const TRANSPOSED: Layout = {
  toDevice: (values, [rows, columns]) => transpose(values, rows!, columns!),
  toFile: (values, [rows, columns]) => transpose(values, columns!, rows!),
};

/** [B, C, H, W] lies as [B, H, W, C]. */
export const CHANNELS_LAST: Layout = {
  toDevice: channelsLast,
  toFile: (values, [b, c, h, w]) => channelsFirst(values, [b!, h!, w!, c!]),
};

/** The elements are as many equal rows as there are places, of which row `i` lies at `places[i]`. */
export function rowsAt(places: readonly number[]): Layout {
  const move = (values: Float32Array, back: boolean): Float32Array => {
    const out = new Float32Array(values.length);
    const width = values.length / places.length;
    places.forEach((place, i) => {
      const [from, to] = back ? [place, i] : [i, place];
      out.set(values.subarray(from * width, (from + 1) * width), to * width);
    });
    return out;
  };
  return { toDevice: (values) => move(values, false), toFile: (values) => move(values, true) };
}

/** [B, H, W, C] as [B, C, H, W], the layout of the PyTorch world. */
export function channelsFirst(values: Float32Array, shape: readonly number[]): Float32Array {
  const [batch, height, width, channels] = shape as [number, number, number, number];
  const area = height * width;
  const out = new Float32Array(values.length);
  for (let b = 0; b < batch; b++) {
    for (let p = 0; p < area; p++) {
      for (let c = 0; c < channels; c++) {
        out[(b * channels + c) * area + p] = values[(b * area + p) * channels + c]!;
      }
    }
  }
  return out;
}

/** [B, C, H, W] as [B, H, W, C], the layout of the kernels. */
function channelsLast(values: Float32Array, shape: readonly number[]): Float32Array {
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const area = height * width;
  const out = new Float32Array(values.length);
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < channels; c++) {
      for (let p = 0; p < area; p++) {
        out[(b * area + p) * channels + c] = values[(b * channels + c) * area + p]!;
      }
    }
  }
  return out;
}

type Image = readonly [number, number, number, number];

/** `[:, :, 1::k, 0::k]` of an NCHW tensor: what the files call `#subK`. */
export function everyPixel(values: Float32Array, [b, c, h, w]: Image, k: number): Float32Array {
  const some: number[] = [];
  for (let plane = 0; plane < b * c; plane++) {
    for (let y = 1; y < h; y += k) {
      for (let x = 0; x < w; x += k) some.push(values[(plane * h + y) * w + x]!);
    }
  }
  return Float32Array.from(some);
}
