// Label maps and predictions as pictures: one way of colouring a task, be it a label or what a model made.
import type { Picture } from '../data/file.ts';
import { VOC_PALETTE } from '../data/palette.ts';
import type { Palette } from '../data/png.ts';
import { IGNORE, type DataTask } from '../data/sample.ts';

type Colour = readonly [number, number, number];

/** Background, head, torso, upper arm, lower arm, upper leg, lower leg; then VOC's colours. */
export const PARTS_PALETTE: Palette = [
  [0, 0, 0],
  [230, 85, 70],
  [245, 190, 65],
  [95, 175, 85],
  [70, 205, 200],
  [75, 110, 220],
  [180, 95, 205],
  ...VOC_PALETTE.slice(7),
];
const PALETTES: Partial<Record<DataTask, Palette>> = { semseg: VOC_PALETTE, human_parts: PARTS_PALETTE };

/** Near to far: yellow, green, blue, violet; as bright as near, so that it reads in grey too. */
const DEPTH_STOPS: readonly Colour[] = [
  [250, 230, 60],
  [120, 205, 90],
  [40, 150, 140],
  [55, 85, 140],
  [65, 15, 85],
];

/** Of saliency and edges over a picture. */
const HIGHLIGHT: Colour = [255, 70, 50];

const byte = (value: number): number => Math.round(255 * Math.max(0, Math.min(1, value)));

/** A loader's `image` [3, S, S] as an RGB picture. */
export function imagePicture(image: Uint8Array, size: number): Picture {
  expectLength('imagePicture', image, 3 * size * size);
  const data = new Uint8Array(3 * size * size);
  for (let at = 0; at < size * size; at++) {
    for (let c = 0; c < 3; c++) data[at * 3 + c] = image[c * size * size + at]!;
  }
  return { width: size, height: size, data };
}

/** The smallest and largest of the values that count, for a depth map and what is compared with it. */
export function depthRange(map: Uint8Array | Float32Array): readonly [number, number] {
  let [least, most] = [Infinity, -Infinity];
  for (const value of map) {
    if (value !== IGNORE) [least, most] = [Math.min(least, value), Math.max(most, value)];
  }
  return [least, most];
}

/**
 * Colours one map of a task; ignored pixels become a grey chequerboard, those of semseg VOC's cream.
 *
 * @param map [H, W] classes, probabilities 0..1 or metres, or [3, H, W] unit normals; 255 where ignored
 * @param size [H, W], or the side of a square
 */
export function mapPicture(
  task: DataTask,
  map: Uint8Array | Float32Array,
  size: number | readonly [number, number],
  range = task === 'depth' ? depthRange(map) : null,
): Picture {
  const [height, width] = typeof size === 'number' ? [size, size] : size;
  const pixels = height * width;
  expectLength(`mapPicture "${task}"`, map, task === 'normals' ? 3 * pixels : pixels);
  const data = new Uint8Array(3 * pixels);
  for (let at = 0; at < pixels; at++) {
    const value = map[at]!;
    const ignored = value === IGNORE && task !== 'semseg';
    const normal = task === 'normals' ? ([value, map[at + pixels]!, map[at + 2 * pixels]!] as const) : null;
    data.set(
      ignored ? chequer(at % width, Math.floor(at / width)) : colourOf(task, value, normal, range),
      at * 3,
    );
  }
  return { width, height, data };
}

function colourOf(
  task: DataTask,
  value: number,
  normal: Colour | null,
  range: readonly [number, number] | null,
): Colour {
  if (normal) return [byte((normal[0] + 1) / 2), byte((normal[1] + 1) / 2), byte((normal[2] + 1) / 2)];
  const palette = PALETTES[task];
  if (palette) {
    const colour = palette[value];
    if (!colour)
      throw new Error(
        `mapPicture: a class of "${task}" must be a whole number below ${palette.length}, got ${value}`,
      );
    return colour;
  }
  if (range) return depthColour((value - range[0]) / Math.max(range[1] - range[0], 1e-12));
  return [byte(value), byte(value), byte(value)];
}

function depthColour(share: number): Colour {
  const place = Math.max(0, Math.min(1, share)) * (DEPTH_STOPS.length - 1);
  const index = Math.min(Math.floor(place), DEPTH_STOPS.length - 2);
  const [near, far] = [DEPTH_STOPS[index]!, DEPTH_STOPS[index + 1]!];
  const mixed = (c: 0 | 1 | 2): number => Math.round(near[c] + (far[c] - near[c]) * (place - index));
  return [mixed(0), mixed(1), mixed(2)];
}

function chequer(x: number, y: number): Colour {
  const grey = ((x >> 2) ^ (y >> 2)) & 1 ? 84 : 64;
  return [grey, grey, grey];
}

/**
 * Lays what `mapPicture` makes of a map over a picture. Background (class 0) and ignored pixels stay as they
 * are, saliency and edges shine where they are likely.
 *
 * @param map [H, W] or [3, H, W], as `mapPicture` takes it
 * @param alpha share of the map's colour, 0..1
 */
export function overlay(task: DataTask, picture: Picture, map: Float32Array, alpha = 0.6): Picture {
  const { width, height, data } = picture;
  const colours = mapPicture(task, map, [height, width]).data;
  const classes = PALETTES[task] !== undefined;
  const likely = task === 'sal' || task === 'edge';
  const out = data.slice();
  for (let at = 0; at < width * height; at++) {
    const value = map[at]!;
    if (value === IGNORE || (classes && value === 0)) continue;
    const share = alpha * (likely ? value : 1);
    for (let c = 0; c < 3; c++) {
      const colour = likely ? HIGHLIGHT[c]! : colours[3 * at + c]!;
      out[3 * at + c] = Math.round(data[3 * at + c]! * (1 - share) + colour * share);
    }
  }
  return { width, height, data: out };
}

function expectLength(name: string, values: Uint8Array | Float32Array, length: number): void {
  if (values.length !== length) throw new Error(`${name}: must have ${length} values, got ${values.length}`);
}
