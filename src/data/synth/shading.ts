import { along, unitVector, type Vec3 } from './affine.ts';
import { albedo, noise } from './material.ts';
import { rayThrough, type SampleMap, type View } from './raster.ts';
import type { Random } from './random.ts';
import type { Scene, Solid } from './scene.ts';
import { illuminate } from './shadow.ts';

/** How long the solid's axes are in metres. */
function axisLengths({ toWorld: m }: Solid): Vec3 {
  return [Math.hypot(m[0]!, m[4]!, m[8]!), Math.hypot(m[1]!, m[5]!, m[9]!), Math.hypot(m[2]!, m[6]!, m[10]!)];
}

function skyColour({ backdrop }: Scene, ray: Vec3): Vec3 {
  const [x, y, z] = unitVector(ray);
  const rise = Math.max(0, Math.min(1, y * 2.2));
  const drift =
    noise((x / (y + 0.15)) * 1.2, 3, (z / (y + 0.15)) * 1.2) * 0.6 +
    noise((x / (y + 0.15)) * 3.1, 7, (z / (y + 0.15)) * 3.1) * 0.4;
  const cloud = Math.max(0, Math.min(1, (drift - 0.5) * 4)) * backdrop.clouds * Math.min(1, rise * 4);
  return [0, 1, 2].map((i) => {
    const clear = backdrop.horizon[i]! + (backdrop.zenith[i]! - backdrop.horizon[i]!) * rise;
    return clear + (0.95 - clear) * cloud;
  }) as [number, number, number];
}

/**
 * Lambert's law with a sun of some width, light from all sides but where things are near, highlights, haze.
 *
 * @returns linear RGB [height, width, 3]
 */
export function shade(scene: Scene, view: View, map: SampleMap, random: Random): Float32Array {
  const { width, height, depth, solid: owner, local, normal } = map;
  const { solids, light, backdrop } = scene;
  const { sun, open } = illuminate(scene, view, map, random);
  const scales = solids.map(axisLengths);
  const colours = new Float32Array(width * height * 3);

  for (let at = 0; at < width * height; at++) {
    const ray = rayThrough(view, width, height, (at % width) + 0.5, Math.floor(at / width) + 0.5);
    const index = owner[at]!;
    const k = at * 3;
    if (index < 0) {
      colours.set(skyColour(scene, ray), k);
      continue;
    }
    const { material } = solids[index]!;
    const scale = scales[index]!;
    const paint = albedo(material, local[k]! * scale[0], local[k + 1]! * scale[1], local[k + 2]! * scale[2]);
    const glossy = material.gloss > 0 && sun[at]! > 0;
    const shine = glossy ? 0.6 * material.gloss * highlight(normal, k, light.direction, ray) : 0;
    const fill = open[at]! * (0.75 + 0.25 * normal[k + 1]!);
    const haze = 1 - Math.exp(-depth[at]! * backdrop.haze);
    for (let c = 0; c < 3; c++) {
      const matt = paint[c]! * (light.ambient[c]! * fill + light.colour[c]! * sun[at]!);
      const seen = matt + shine * light.colour[c]!;
      colours[k + c] = seen + (backdrop.horizon[c]! - seen) * haze;
    }
  }
  return colours;
}

/** Blinn's: how near the normal (three numbers from `k`) is to half-way between the light and the eye. */
function highlight(normal: Float32Array, k: number, light: Vec3, ray: Vec3): number {
  const half = unitVector(along(light, unitVector(ray), -1));
  return Math.max(0, normal[k]! * half[0] + normal[k + 1]! * half[1] + normal[k + 2]! * half[2]) ** 40;
}

/**
 * What a camera makes of it: 2x2 samples to a pixel, exposure, vignette, gamma, sensor noise.
 *
 * @param colours linear RGB [2 height, 2 width, 3]
 * @returns 8-bit RGB [height, width, 3]
 */
export function develop(colours: Float32Array, width: number, height: number, random: Random): Uint8Array {
  const exposure = random.between(0.95, 1.35);
  const grain = random.between(0.005, 0.025);
  const vignette = random.between(0, 0.3);
  const bytes = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const fromCentre = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) * 2;
      const gain = (exposure * (1 - vignette * fromCentre)) / 4;
      const corner = (2 * y * 2 * width + 2 * x) * 3;
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let i = 0; i < 4; i++)
          sum += Math.min(1.5, colours[corner + (i >> 1) * 6 * width + (i & 1) * 3 + c]!);
        const value = Math.max(0, sum * gain) ** (1 / 2.2) + grain * random.normal();
        bytes[(y * width + x) * 3 + c] = Math.round(255 * Math.max(0, Math.min(1, value)));
      }
    }
  }
  return bytes;
}
