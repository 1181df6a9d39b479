// Which light reaches a point. A ray meets the sphere around a thing before the spheres around its solids,
// and these before the solids themselves: most rays touch none of them. Plain numbers in flat arrays, because
// this runs twice for each sample of a picture and is most of the time that one takes.
import { rayThrough, type SampleMap, type View } from './raster.ts';
import type { Random } from './random.ts';
import type { Scene, Solid } from './scene.ts';
import { hit } from './solid.ts';

type Sphere = { readonly x: number; readonly y: number; readonly z: number; readonly r: number };

/** A thing's solids, `first` to `end`, and the sphere around them. */
type Group = { readonly sphere: Sphere; readonly first: number; readonly end: number };

/** The solids that throw shadows. */
type Casters = {
  readonly solids: readonly Solid[];
  /** Around each solid. */
  readonly spheres: readonly Sphere[];
  readonly groups: readonly Group[];
};

/** Metres off the surface at which a ray to the light starts, so that it does not meet that surface again. */
const OFFSET = 2e-3;
/** Spread of the sun's directions, which blurs the rims of shadows. */
const SUN_WIDTH = 0.07;
/** How far something may be to keep light from all sides off, and how much it leaves. */
const [NEARBY, LEFT] = [0.5, 0.45];
const FAR = 30;

function sphereAround({ kind, taper, toWorld: m }: Solid): Sphere {
  const [x, y, z] = [0, 1, 2].map((axis) => Math.hypot(m[axis]!, m[axis + 4]!, m[axis + 8]!));
  const wide = Math.max(1, taper);
  const r = kind === 'ball' ? Math.max(x!, y!, z!)
    : kind === 'capsule' ? y! * (taper + 1)
      : Math.hypot(x! * wide, y!, z! * wide);
  return { x: m[3]!, y: m[7]!, z: m[11]!, r };
}

/** All solids of things; the backdrop takes shadows and throws none. */
function castersOf(all: readonly Solid[]): Casters {
  const solids = all.filter(({ thing }) => thing >= 0);
  const spheres = solids.map(sphereAround);
  const groups: Group[] = [];
  for (let first = 0, end = 0; first < solids.length; first = end) {
    while (end < solids.length && solids[end]!.thing === solids[first]!.thing) end++;
    const members = spheres.slice(first, end);
    const mean = (of: (sphere: Sphere) => number): number =>
      members.map(of).reduce((a, b) => a + b) / members.length;
    const [x, y, z] = [mean((sphere) => sphere.x), mean((sphere) => sphere.y), mean((sphere) => sphere.z)];
    const reach = members.map((sphere) => Math.hypot(sphere.x - x, sphere.y - y, sphere.z - z) + sphere.r);
    groups.push({ sphere: { x, y, z, r: Math.max(...reach) }, first, end });
  }
  return { solids, spheres, groups };
}

/** A ray o + t·d with |d| = 1 that ends at t = limit; one is used again and again. */
type Ray = { ox: number; oy: number; oz: number; dx: number; dy: number; dz: number; limit: number };

/** Points `ray` in a direction of any length. */
function aim(ray: Ray, x: number, y: number, z: number, limit: number): void {
  const scale = 1 / Math.sqrt(x * x + y * y + z * z);
  ray.dx = x * scale;
  ray.dy = y * scale;
  ray.dz = z * scale;
  ray.limit = limit;
}

// Below here an array to destructure is too dear: each would be allocated, some hundred million times.

function nears(sphere: Sphere, { ox, oy, oz, dx, dy, dz, limit }: Ray): boolean {
  const { r } = sphere;
  const x = sphere.x - ox;
  const y = sphere.y - oy;
  const z = sphere.z - oz;
  const ahead = x * dx + y * dy + z * dz;
  return ahead > -r && ahead < limit + r && x * x + y * y + z * z - ahead * ahead < r * r;
}

function meets({ kind, taper, fromWorld: m }: Solid, { ox, oy, oz, dx, dy, dz, limit }: Ray): boolean {
  const x = m[0]! * ox + m[1]! * oy + m[2]! * oz + m[3]!;
  const y = m[4]! * ox + m[5]! * oy + m[6]! * oz + m[7]!;
  const z = m[8]! * ox + m[9]! * oy + m[10]! * oz + m[11]!;
  const u = m[0]! * dx + m[1]! * dy + m[2]! * dz;
  const v = m[4]! * dx + m[5]! * dy + m[6]! * dz;
  const w = m[8]! * dx + m[9]! * dy + m[10]! * dz;
  return hit(kind, taper, x, y, z, u, v, w) < limit;
}

function blocked({ solids, spheres, groups }: Casters, ray: Ray): boolean {
  for (const { sphere, first, end } of groups) {
    if (!nears(sphere, ray)) continue;
    for (let i = first; i < end; i++) {
      if (nears(spheres[i]!, ray) && meets(solids[i]!, ray)) return true;
    }
  }
  return false;
}

/**
 * What light each sample gets.
 *
 * @returns [H, W] each: `sun`, the cosine between normal and sun, 0 in shadow; `open`, the share that gets
 *   there of the light from all sides
 */
export function illuminate(
  { solids, light }: Scene,
  view: View,
  { width, height, depth, solid: owner, normal }: SampleMap,
  random: Random,
): { sun: Float32Array; open: Float32Array } {
  const [lx, ly, lz] = light.direction;
  const casters = castersOf(solids);
  const [sun, open] = [new Float32Array(width * height), new Float32Array(width * height).fill(1)];
  const ray: Ray = { ox: 0, oy: 0, oz: 0, dx: 0, dy: 0, dz: 0, limit: 0 };
  for (let at = 0; at < width * height; at++) {
    if (owner[at]! < 0) continue;
    const nx = normal[at * 3]!;
    const ny = normal[at * 3 + 1]!;
    const nz = normal[at * 3 + 2]!;
    const seen = rayThrough(view, width, height, (at % width) + 0.5, Math.floor(at / width) + 0.5);
    ray.ox = view.position[0] + depth[at]! * seen[0] + OFFSET * nx;
    ray.oy = view.position[1] + depth[at]! * seen[1] + OFFSET * ny;
    ray.oz = view.position[2] + depth[at]! * seen[2] + OFFSET * nz;
    const jx = random.unit() - 0.5;
    const jy = random.unit() - 0.5;
    const jz = random.unit() - 0.5;

    const facing = nx * lx + ny * ly + nz * lz;
    aim(ray, lx + SUN_WIDTH * jx, ly + SUN_WIDTH * jy, lz + SUN_WIDTH * jz, FAR);
    if (facing > 0 && !blocked(casters, ray)) sun[at] = facing;
    aim(ray, nx + 1.6 * jy, ny + 1.6 * jz, nz + 1.6 * jx, NEARBY);
    if (blocked(casters, ray)) open[at] = LEFT;
  }
  return { sun, open };
}
