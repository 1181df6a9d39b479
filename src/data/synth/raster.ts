import { add, along, applied, scaled, type Affine, type Vec3 } from './affine.ts';
import type { Camera, Solid } from './scene.ts';
import { hit, normalAt } from './solid.ts';

/** The camera's axes in the world, each of length 1; `back` points from the scene to the camera. */
export type View = {
  readonly position: Vec3;
  readonly right: Vec3;
  readonly up: Vec3;
  readonly back: Vec3;
  readonly focal: number;
};

/** What each of [height, width] samples sees. */
export type SampleMap = {
  readonly width: number;
  readonly height: number;
  /** Along the viewing axis, metres; Infinity in the sky. */
  readonly depth: Float32Array;
  /** Index of the solid; −1 in the sky. */
  readonly solid: Int16Array;
  /** Where on the solid, in its own coordinates [height, width, 3]. */
  readonly local: Float32Array;
  /** Outward unit normal in the world [height, width, 3]. */
  readonly normal: Float32Array;
};

const NEAR = 0.05;

export function viewOf({ position, pitch, focal }: Camera): View {
  const [c, s] = [Math.cos(pitch), Math.sin(pitch)];
  return { position, right: [1, 0, 0], up: [0, c, -s], back: [0, s, c], focal };
}

/** Ray through image coordinates (x right, y down, pixels): the point at depth t is position + t·ray. */
export function rayThrough(view: View, width: number, height: number, x: number, y: number): Vec3 {
  const unit = view.focal * height;
  const sideways = scaled(view.right, (x - width / 2) / unit);
  return along(along(sideways, view.up, (height / 2 - y) / unit), view.back, -1);
}

type Box = { left: number; right: number; top: number; bottom: number };

/** Pixels that the solid's bounding box can touch; all of them where a corner lies behind the camera. */
function screenBox(solid: Solid, view: View, width: number, height: number): Box {
  const box: Box = { left: Infinity, right: -Infinity, top: Infinity, bottom: -Infinity };
  const reach = solid.kind === 'capsule' ? solid.taper + 1 : 1;
  const wide = Math.max(1, solid.kind === 'capsule' ? 1 : solid.taper);
  const unit = view.focal * height;
  for (let corner = 0; corner < 8; corner++) {
    const local: Vec3 = [corner & 1 ? wide : -wide, corner & 2 ? reach : -reach, corner & 4 ? wide : -wide];
    const [x, y, z] = add(applied(solid.toWorld, local), scaled(view.position, -1));
    const depth = -(view.back[0] * x + view.back[1] * y + view.back[2] * z);
    if (depth < NEAR) return { left: 0, right: width - 1, top: 0, bottom: height - 1 };
    const px = width / 2 + (unit * (view.right[0] * x + view.right[1] * y + view.right[2] * z)) / depth;
    const py = height / 2 - (unit * (view.up[0] * x + view.up[1] * y + view.up[2] * z)) / depth;
    box.left = Math.min(box.left, px);
    box.right = Math.max(box.right, px);
    box.top = Math.min(box.top, py);
    box.bottom = Math.max(box.bottom, py);
  }
  return {
    left: Math.max(0, Math.floor(box.left)),
    right: Math.min(width - 1, Math.ceil(box.right)),
    top: Math.max(0, Math.floor(box.top)),
    bottom: Math.min(height - 1, Math.ceil(box.bottom)),
  };
}

/** L·v, without the translation. */
function turned(m: Affine, [x, y, z]: Vec3): Vec3 {
  return [
    m[0]! * x + m[1]! * y + m[2]! * z,
    m[4]! * x + m[5]! * y + m[6]! * z,
    m[8]! * x + m[9]! * y + m[10]! * z,
  ];
}

/** Casts a ray a pixel at each solid, inside its box on the screen, and keeps the nearest hit. */
export function rasterise(solids: readonly Solid[], view: View, width: number, height: number): SampleMap {
  const depth = new Float32Array(width * height).fill(Infinity);
  const owner = new Int16Array(width * height).fill(-1);
  const first = rayThrough(view, width, height, 0.5, 0.5);
  const unit = view.focal * height;
  solids.forEach((solid, index) => {
    const { kind, taper, fromWorld } = solid;
    const { left, right, top, bottom } = screenBox(solid, view, width, height);
    const [ox, oy, oz] = applied(fromWorld, view.position);
    // the ray in the solid's coordinates is linear in the pixel: base + x·across + y·down
    const base = turned(fromWorld, first);
    const across = turned(fromWorld, scaled(view.right, 1 / unit));
    const down = turned(fromWorld, scaled(view.up, -1 / unit));
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const dx = base[0] + x * across[0] + y * down[0];
        const dy = base[1] + x * across[1] + y * down[1];
        const dz = base[2] + x * across[2] + y * down[2];
        const t = hit(kind, taper, ox, oy, oz, dx, dy, dz);
        const at = y * width + x;
        if (t < depth[at]!) {
          depth[at] = t;
          owner[at] = index;
        }
      }
    }
  });
  return { width, height, depth, solid: owner, ...surfaces(solids, view, width, height, depth, owner) };
}

/** Point and normal of what each sample sees; the normal of L·p + t is L⁻ᵀ·n, normalised. */
function surfaces(
  solids: readonly Solid[],
  view: View,
  width: number,
  height: number,
  depth: Float32Array,
  owner: Int16Array,
): Pick<SampleMap, 'local' | 'normal'> {
  const local = new Float32Array(width * height * 3);
  const normal = new Float32Array(width * height * 3);
  for (let at = 0; at < width * height; at++) {
    const solid = solids[owner[at]!];
    if (!solid) continue;
    const ray = rayThrough(view, width, height, (at % width) + 0.5, Math.floor(at / width) + 0.5);
    const m = solid.fromWorld;
    const [x, y, z] = applied(m, along(view.position, ray, depth[at]!));
    const n = normalAt(solid.kind, solid.taper, x, y, z);
    const nx = m[0]! * n[0] + m[4]! * n[1] + m[8]! * n[2];
    const ny = m[1]! * n[0] + m[5]! * n[1] + m[9]! * n[2];
    const nz = m[2]! * n[0] + m[6]! * n[1] + m[10]! * n[2];
    const length = Math.sqrt(nx * nx + ny * ny + nz * nz);
    const to = at * 3;
    local[to] = x;
    local[to + 1] = y;
    local[to + 2] = z;
    normal[to] = nx / length;
    normal[to + 1] = ny / length;
    normal[to + 2] = nz / length;
  }
  return { local, normal };
}
