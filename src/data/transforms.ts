// The released chains. Training: flip, scale and rotate, resize, ignore regions, to tensor.
// Validation: the last three of them.
import type { DatasetKind } from './dataset.ts';
import { resizeCubic, resizeNearest } from './resample.ts';
import { IGNORE, makeField, mapFields } from './sample.ts';
import type { DataTask, Field, Sample } from './sample.ts';
import { inverseRotation, warpCubic, warpNearest } from './warp.ts';

export type Augmentation = { readonly flip: boolean; readonly degrees: number; readonly scale: number };
/**
 * What becomes of values outside 0..255, where the bicubic kernel overshoots: 'clamp' them, or 'wrap' them
 * around modulo 256 as the release does (bright specks at hard edges; needed to repeat its numbers exactly).
 */
export type Overshoot = 'clamp' | 'wrap';

/** What a warp brings in from outside a map of classes: class 0 as in the release, or what counts nowhere. */
export type WarpFill = 'zero' | 'ignore';

export const MEAN = [0.485, 0.456, 0.406] as const;
export const STD = [0.229, 0.224, 0.225] as const;
const NYUD_SCALES = [1, 1.2, 1.5] as const;
/** Normals are not of length exactly 1 in the release either: it divides by length + eps. */
const EPS = 2 ** -52;

/** A grey level of a channel after normalisation; table[channel·256 + level], each step rounded to f32. */
export const NORMALISED = Float32Array.from({ length: 3 * 256 }, (_, i) => {
  const [channel, level] = [i >> 8, i & 255];
  const centred = Math.fround(Math.fround(level / 255) - Math.fround(MEAN[channel]!));
  return centred / Math.fround(STD[channel]!);
});

const isSmooth = (name: DataTask | 'image'): boolean => name === 'image' || name === 'normals';

const isClasses = (name: DataTask | 'image'): boolean => name === 'semseg' || name === 'human_parts';

/** The augmentation of a sample from three uniform numbers in [0, 1), drawn in this order. */
export function drawAugmentation(kind: DatasetKind, [flip, angle, scale]: readonly number[]): Augmentation {
  if (kind !== 'nyud') return { flip: flip! < 0.5, degrees: 40 * angle! - 20, scale: 0.5 * scale! + 0.75 };
  return { flip: flip! < 0.5, degrees: 0, scale: NYUD_SCALES[Math.floor(scale! * NYUD_SCALES.length)]! };
}

/** Mirrors left and right; a normal's x changes sign. */
export function flip(sample: Sample): Sample {
  return mapFields(sample, ({ height, width, channels, data }, name) => {
    const out = new Float32Array(data.length);
    for (let y = 0; y < height; y++) {
      let to = y * width * channels;
      for (let x = width - 1; x >= 0; x--, to += channels) {
        const from = (y * width + x) * channels;
        for (let c = 0; c < channels; c++) out[to + c] = data[from + c]!;
        if (name === 'normals') out[to] = -out[to]!;
      }
    }
    return makeField(height, width, out);
  });
}

/** Rotates and scales about the centre. Normals turn along, depth shrinks. */
export function scaleRotate(sample: Sample, degrees: number, scale: number, fill: WarpFill = 'zero'): Sample {
  return mapFields(sample, (field, name) => {
    const map = inverseRotation(field.height, field.width, degrees, scale);
    const turned = name === 'normals' ? turnNormals(field, degrees) : field;
    const warped = isSmooth(name) ? warpCubic(turned, map)
      : warpNearest(turned, map, fill === 'ignore' && isClasses(name) ? IGNORE : 0);
    return name === 'depth' ? { ...warped, data: warped.data.map((metres) => metres / scale) } : warped;
  });
}

function turnNormals(field: Field, degrees: number): Field {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const data = field.data.slice();
  for (let i = 0; i < data.length; i += 3) {
    const [x, y] = [data[i]!, data[i + 1]!];
    data[i] = x * cos + y * sin;
    data[i + 1] = y * cos - x * sin;
  }
  return { ...field, data };
}

/** Everything to [height, width], whatever its aspect; normals get length 1 again. */
export function fixedResize(sample: Sample, height: number, width: number): Sample {
  return mapFields(sample, (field, name) => {
    if (!isSmooth(name)) return resizeNearest(field, height, width);
    const resized = resizeCubic(field, height, width);
    return name === 'normals' ? normalise(resized) : resized;
  });
}

function normalise(field: Field): Field {
  const data = field.data.slice();
  for (let i = 0; i < data.length; i += 3) {
    const [x, y, z] = [data[i]!, data[i + 1]!, data[i + 2]!];
    const length = Math.sqrt(x * x + y * y + z * z) + EPS;
    data[i] = x / length;
    data[i + 1] = y / length;
    data[i + 2] = z / length;
  }
  return { ...field, data };
}

/** Marks what has no label: normals (0, 0, 0), depth 0, a map of parts that has none. */
export function ignoreRegions(sample: Sample): Sample {
  return mapFields(sample, (field, name) => {
    const data = field.data.slice();
    if (name === 'normals') {
      for (let i = 0; i < data.length; i += 3) {
        if (data[i] === 0 && data[i + 1] === 0 && data[i + 2] === 0) data.fill(IGNORE, i, i + 3);
      }
    } else if (name === 'depth') {
      for (let i = 0; i < data.length; i++) if (data[i] === 0) data[i] = IGNORE;
    } else if (name === 'human_parts' && data.every((part) => part === 0 || part === IGNORE)) {
      data.fill(IGNORE);
    } else {
      return field;
    }
    return { ...field, data };
  });
}

/** Writes `image` [H, W, 3] as [3, H, W], cut to whole grey levels, which is what the release normalises. */
export function writeImage(image: Field, out: Uint8Array, overshoot: Overshoot): void {
  const area = image.height * image.width;
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < area; i++) {
      const value = image.data[3 * i + c]!;
      out[c * area + i] = overshoot === 'wrap' ? value & 255 : Math.min(Math.max(value, 0), 255) | 0;
    }
  }
}

/** Grey levels [3, H, W] as the model reads them; for batches the device does this. */
export function normaliseLevels(levels: Uint8Array): Float32Array {
  const area = levels.length / 3;
  return Float32Array.from(levels, (level, i) => NORMALISED[Math.floor(i / area) * 256 + level]!);
}

/** Writes `label` [H, W, C] as [C, H, W]. */
export function writeLabel({ data, channels }: Field, out: Uint8Array | Float32Array): void {
  const area = data.length / channels;
  for (let c = 0; c < channels; c++) {
    for (let i = 0; i < area; i++) out[c * area + i] = data[i * channels + c]!;
  }
}

/** The chain up to the ignore regions, at size [S, S]; without an augmentation it is validation's. */
export function prepare(
  sample: Sample, size: number, augmentation?: Augmentation, fill: WarpFill = 'zero',
): Sample {
  let changed = sample;
  if (augmentation?.flip) changed = flip(changed);
  if (augmentation) changed = scaleRotate(changed, augmentation.degrees, augmentation.scale, fill);
  return ignoreRegions(fixedResize(changed, size, size));
}
