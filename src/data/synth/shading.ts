import { along, applied, dot, unitVector, type Vec3 } from './affine.ts';
import { albedo, noise } from './material.ts';
import { rayThrough, worldNormal, type DepthMap, type View } from './raster.ts';
import type { Random } from './random.ts';
import type { Scene, Solid } from './scene.ts';
import { hit } from './solid.ts';

/** A solid that throws shadows, with a sphere around it. */
type Caster = { readonly solid: Solid; readonly centre: Vec3; readonly radius: number; readonly scale: Vec3 };

/** How long the solid's axes are in metres. */
function axisLengths({ toWorld: m }: Solid): Vec3 {
  return [Math.hypot(m[0]!, m[4]!, m[8]!), Math.hypot(m[1]!, m[5]!, m[9]!), Math.hypot(m[2]!, m[6]!, m[10]!)];
}

function casterOf(solid: Solid): Caster {
  const scale = axisLengths(solid);
  const radius = solid.kind === 'ball' ? Math.max(...scale)
    : solid.kind === 'capsule' ? scale[1] * (solid.taper + 1)
      : Math.hypot(...scale) * Math.max(1, solid.taper);
  return { solid, centre: [solid.toWorld[3]!, solid.toWorld[7]!, solid.toWorld[11]!], radius, scale };
}

/** Whether a caster stands between the point and `limit` metres along the unit vector `direction`. */
function blocked(casters: readonly Caster[], from: Vec3, direction: Vec3, limit: number): boolean {
  const [dx, dy, dz] = direction;
  for (const { solid, centre, radius } of casters) {
    const [x, y, z] = [centre[0] - from[0], centre[1] - from[1], centre[2] - from[2]];
    const ahead = x * dx + y * dy + z * dz;
    if (ahead < -radius || ahead > limit + radius) continue;
    if (x * x + y * y + z * z - ahead * ahead > radius * radius) continue;
    const m = solid.fromWorld;
    const [ox, oy, oz] = applied(m, from);
    const t = hit(solid.kind, solid.taper, ox, oy, oz,
      m[0]! * dx + m[1]! * dy + m[2]! * dz, m[4]! * dx + m[5]! * dy + m[6]! * dz, m[8]! * dx + m[9]! * dy + m[10]! * dz);
    if (t < limit) return true;
  }
  return false;
}

function skyColour({ backdrop }: Scene, ray: Vec3): Vec3 {
  const [x, y, z] = unitVector(ray);
  const rise = Math.max(0, Math.min(1, y * 2.2));
  const drift = noise((x / (y + 0.15)) * 1.2, 3, (z / (y + 0.15)) * 1.2) * 0.6 + noise((x / (y + 0.15)) * 3.1, 7, (z / (y + 0.15)) * 3.1) * 0.4;
  const cloud = Math.max(0, Math.min(1, (drift - 0.5) * 4)) * backdrop.clouds * Math.min(1, rise * 4);
  return [0, 1, 2].map((i) => {
    const clear = backdrop.horizon[i]! + (backdrop.zenith[i]! - backdrop.horizon[i]!) * rise;
    return clear + (0.95 - clear) * cloud;
  }) as [number, number, number];
}

/**
 * Lambert's law with a sun of some width, light from all sides that nearby things keep off, a highlight and haze.
 *
 * @returns linear RGB [height, width, 3]
 */
export function shade(scene: Scene, view: View, map: DepthMap, random: Random): Float32Array {
  const { width, height, depth, solid: owner } = map;
  const { solids, light, backdrop } = scene;
  const casters = solids.filter(({ thing }) => thing >= 0).map(casterOf);
  const scales = solids.map(axisLengths);
  const colours = new Float32Array(width * height * 3);

  for (let at = 0; at < width * height; at++) {
    const ray = rayThrough(view, width, height, (at % width) + 0.5, Math.floor(at / width) + 0.5);
    const index = owner[at]!;
    if (index < 0) {
      colours.set(skyColour(scene, ray), at * 3);
      continue;
    }
    const [solid, t] = [solids[index]!, depth[at]!];
    const point = along(view.position, ray, t);
    const local = applied(solid.fromWorld, point);
    const normal = worldNormal(solid, local);
    const [sx, sy, sz] = scales[index]!;
    const paint = albedo(solid.material, local[0] * sx, local[1] * sy, local[2] * sz);

    const off = along(point, normal, 2e-3);
    const jitter = (): number => random.unit() - 0.5;
    const towards = unitVector(along(light.direction, [jitter(), jitter(), jitter()], 0.12));
    const facing = dot(normal, light.direction);
    const lit = facing > 0 && !blocked(casters, off, towards, 30) ? facing : 0;
    const around = unitVector(along(normal, [jitter(), jitter(), jitter()], 1.6));
    const open = blocked(casters, off, around, 0.5) ? 0.45 : 1;

    const half = unitVector(along(light.direction, unitVector(ray), -1));
    const shine = lit > 0 ? solid.material.gloss * 0.6 * Math.max(0, dot(normal, half)) ** 40 : 0;
    const fill = open * (0.75 + 0.25 * normal[1]);
    const haze = 1 - Math.exp(-t * backdrop.haze);
    for (let c = 0; c < 3; c++) {
      const seen = paint[c]! * (light.ambient[c]! * fill + light.colour[c]! * lit) + shine * light.colour[c]!;
      colours[at * 3 + c] = seen + (backdrop.horizon[c]! - seen) * haze;
    }
  }
  return colours;
}

/**
 * What a camera makes of it: 2x2 samples to a pixel, exposure, vignette, gamma, sensor noise.
 *
 * @param colours linear RGB [2 height, 2 width, 3]
 * @returns 8-bit RGB [height, width, 3]
 */
export function develop(colours: Float32Array, width: number, height: number, random: Random): Uint8Array {
  const exposure = random.between(0.85, 1.2);
  const grain = random.between(0.005, 0.025);
  const vignette = random.between(0, 0.3);
  const bytes = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const fromCentre = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2) * 2;
      const gain = (exposure * (1 - vignette * fromCentre)) / 4;
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (const [dy, dx] of [[0, 0], [0, 1], [1, 0], [1, 1]] as const) {
          sum += Math.min(1.5, colours[((2 * y + dy) * 2 * width + 2 * x + dx) * 3 + c]!);
        }
        const value = Math.max(0, sum * gain) ** (1 / 2.2) + grain * random.normal();
        bytes[(y * width + x) * 3 + c] = Math.round(255 * Math.max(0, Math.min(1, value)));
      }
    }
  }
  return bytes;
}
