import type { SampleMap, View } from './raster.ts';

/**
 * Mean normal of those of a pixel's 2x2 samples that belong to its group, normalised.
 *
 * The axes are x right, y down, z to the camera: y down is what makes the release's augmentation right, which
 * turns normals by x' = x·cos + y·sin, y' = y·cos − x·sin as it turns the picture counter-clockwise.
 *
 * @param samples group of each sample [2H, 2W], 0 for the sky
 * @param pixels group of each pixel [H, W]
 * @returns [H, W, 3]; [0, 0, 1] in the sky
 */
export function normalMap(
  { right, up, back }: View,
  map: SampleMap,
  samples: Uint16Array,
  pixels: Uint16Array,
): Float32Array {
  const width = map.width / 2;
  const normals = new Float32Array(pixels.length * 3);
  for (let at = 0; at < pixels.length; at++) {
    if (pixels[at] === 0) {
      normals[at * 3 + 2] = 1;
      continue;
    }
    let [x, y, z] = [0, 0, 0];
    for (let i = 0; i < 4; i++) {
      const sample = (2 * Math.floor(at / width) + (i >> 1)) * map.width + 2 * (at % width) + (i & 1);
      if (samples[sample] !== pixels[at]) continue;
      x += map.normal[sample * 3]!;
      y += map.normal[sample * 3 + 1]!;
      z += map.normal[sample * 3 + 2]!;
    }
    const length = Math.sqrt(x * x + y * y + z * z);
    normals[at * 3] = (x * right[0] + y * right[1] + z * right[2]) / length;
    normals[at * 3 + 1] = -(x * up[0] + y * up[1] + z * up[2]) / length;
    normals[at * 3 + 2] = (x * back[0] + y * back[1] + z * back[2]) / length;
  }
  return normals;
}
