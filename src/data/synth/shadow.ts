// Which light reaches a point. A ray meets the sphere around a thing before the spheres around its solids, and
// these before the solids themselves: most rays touch none of them. Plain numbers in flat arrays, because this
// runs twice for each sample of a picture and is most of the time that one takes.
import type { Solid } from './scene.ts';
import { hit } from './solid.ts';

type Group = { readonly x: number; readonly y: number; readonly z: number; readonly radius: number; readonly first: number; readonly end: number };

/** The solids that throw shadows. */
export type Casters = {
  readonly solids: readonly Solid[];
  /** Centre and radius of the sphere around each solid. */
  readonly spheres: Float64Array;
  /** L⁻¹ and its translation, 12 numbers a solid. */
  readonly inverses: Float64Array;
  readonly groups: readonly Group[];
};

function radiusOf({ kind, taper, toWorld: m }: Solid): number {
  const [x, y, z] = [0, 1, 2].map((axis) => Math.hypot(m[axis]!, m[axis + 4]!, m[axis + 8]!)) as [number, number, number];
  if (kind === 'ball') return Math.max(x, y, z);
  return kind === 'capsule' ? y * (taper + 1) : Math.hypot(x * Math.max(1, taper), y, z * Math.max(1, taper));
}

/** All solids of things; the backdrop takes shadows and throws none. */
export function castersOf(all: readonly Solid[]): Casters {
  const solids = all.filter(({ thing }) => thing >= 0);
  const spheres = Float64Array.from(solids.flatMap((solid) => [solid.toWorld[3]!, solid.toWorld[7]!, solid.toWorld[11]!, radiusOf(solid)]));
  const groups: Group[] = [];
  for (let first = 0, end = 0; first < solids.length; first = end) {
    while (end < solids.length && solids[end]!.thing === solids[first]!.thing) end++;
    const members = Array.from({ length: end - first }, (_, i) => spheres.subarray((first + i) * 4, (first + i) * 4 + 4));
    const [x, y, z] = [0, 1, 2].map((axis) => members.reduce((sum, sphere) => sum + sphere[axis]!, 0) / members.length) as [number, number, number];
    const radius = Math.max(...members.map((sphere) => Math.hypot(sphere[0]! - x, sphere[1]! - y, sphere[2]! - z) + sphere[3]!));
    groups.push({ x, y, z, radius, first, end });
  }
  return { solids, spheres, inverses: Float64Array.from(solids.flatMap(({ fromWorld }) => fromWorld)), groups };
}

/** Whether the ray of unit direction d from o comes within r of the centre c, ahead of o and before `limit`. */
function nears(
  cx: number, cy: number, cz: number, r: number,
  ox: number, oy: number, oz: number, dx: number, dy: number, dz: number, limit: number,
): boolean {
  const [x, y, z] = [cx - ox, cy - oy, cz - oz];
  const ahead = x * dx + y * dy + z * dz;
  return ahead > -r && ahead < limit + r && x * x + y * y + z * z - ahead * ahead < r * r;
}

/** Whether a solid stands between the point o and `limit` metres along the unit vector d. */
function blocked(
  casters: Casters, ox: number, oy: number, oz: number, dx: number, dy: number, dz: number, limit: number,
): boolean {
  const { solids, spheres, inverses: m, groups } = casters;
  for (const group of groups) {
    if (!nears(group.x, group.y, group.z, group.radius, ox, oy, oz, dx, dy, dz, limit)) continue;
    for (let i = group.first; i < group.end; i++) {
      const s = i * 4;
      if (!nears(spheres[s]!, spheres[s + 1]!, spheres[s + 2]!, spheres[s + 3]!, ox, oy, oz, dx, dy, dz, limit)) continue;
      const { kind, taper } = solids[i]!;
      const k = i * 12;
      const t = hit(kind, taper,
        m[k]! * ox + m[k + 1]! * oy + m[k + 2]! * oz + m[k + 3]!,
        m[k + 4]! * ox + m[k + 5]! * oy + m[k + 6]! * oz + m[k + 7]!,
        m[k + 8]! * ox + m[k + 9]! * oy + m[k + 10]! * oz + m[k + 11]!,
        m[k]! * dx + m[k + 1]! * dy + m[k + 2]! * dz,
        m[k + 4]! * dx + m[k + 5]! * dy + m[k + 6]! * dz,
        m[k + 8]! * dx + m[k + 9]! * dy + m[k + 10]! * dz);
      if (t < limit) return true;
    }
  }
  return false;
}

/** `blocked` for a direction of any length. */
export function blockedTowards(
  casters: Casters, ox: number, oy: number, oz: number, dx: number, dy: number, dz: number, limit: number,
): boolean {
  const scale = 1 / Math.sqrt(dx * dx + dy * dy + dz * dz);
  return blocked(casters, ox, oy, oz, dx * scale, dy * scale, dz * scale, limit);
}
