import { along, applied, dot } from './affine.ts';
import { CONTEXT, SYNTH_CLASSES } from './classes.ts';
import { rayThrough, worldNormal, type DepthMap, type View } from './raster.ts';
import type { Scene } from './scene.ts';

/** One thing of a picture as PASCAL-Part tells it: mask [H, W] of 0 and 1, and those of a person's parts. */
export type ThingMask = {
  readonly name: string;
  readonly voc: number;
  readonly mask: Uint8Array;
  readonly parts: readonly { readonly name: string; readonly mask: Uint8Array }[];
};

/** All labels of one picture, each [H, W] but for the normals. */
export type Labels = {
  /** 0..20, 255 on the thin borders of things. */
  readonly semseg: Uint8Array;
  /** PASCAL-Context class numbers. */
  readonly context: Uint16Array;
  /** Things of which something shows. */
  readonly things: readonly ThingMask[];
  /** Unit normals [H, W, 3]: x right, y down, z to the camera; [0, 0, 1] in the sky. */
  readonly normals: Float32Array;
  /** Share of the pixel that the salient thing covers. */
  readonly saliency: Float32Array;
};

/** For each pixel the solid that most of its 2x2 samples show, counting solids of one thing, class and part as one. */
function dominantSolids(scene: Scene, map: DepthMap, width: number, height: number): Int16Array {
  const groups = new Map<string, number>();
  const groupOf = scene.solids.map(({ thing, label, part }) => {
    const key = `${thing}/${label}/${part ?? ''}`;
    if (!groups.has(key)) groups.set(key, groups.size);
    return groups.get(key)!;
  });
  const owners = new Int16Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const samples = [0, 1, 2, 3].map((i) => (2 * y + (i >> 1)) * map.width + 2 * x + (i & 1));
      const groupAt = (sample: number): number => (map.solid[sample]! < 0 ? -1 : groupOf[map.solid[sample]!]!);
      let [best, bestVotes] = [samples[0]!, 0];
      for (const sample of samples) {
        const votes = samples.filter((other) => groupAt(other) === groupAt(sample)).length;
        const nearer = map.depth[sample]! < map.depth[best]!;
        if (votes > bestVotes || (votes === bestVotes && nearer)) [best, bestVotes] = [sample, votes];
      }
      owners[y * width + x] = map.solid[best]!;
    }
  }
  return owners;
}

/** Normal in the picture's axes at the middle of each pixel, for the solid that owns it. */
function normalMap(scene: Scene, view: View, owners: Int16Array, map: DepthMap, width: number, height: number): Float32Array {
  const normals = new Float32Array(width * height * 3);
  for (let at = 0; at < width * height; at++) {
    const solid = scene.solids[owners[at]!];
    if (!solid) {
      normals[at * 3 + 2] = 1;
      continue;
    }
    const [x, y] = [at % width, Math.floor(at / width)];
    const sum: [number, number, number] = [0, 0, 0];
    for (let i = 0; i < 4; i++) {
      const [sx, sy] = [2 * x + (i & 1), 2 * y + (i >> 1)];
      const sample = sy * map.width + sx;
      const seen = scene.solids[map.solid[sample]!];
      if (!seen || seen.thing !== solid.thing || seen.part !== solid.part || seen.label !== solid.label) continue;
      const point = along(view.position, rayThrough(view, map.width, map.height, sx + 0.5, sy + 0.5), map.depth[sample]!);
      const n = worldNormal(seen, applied(seen.fromWorld, point));
      sum[0] += dot(n, view.right);
      sum[1] -= dot(n, view.up);
      sum[2] += dot(n, view.back);
    }
    const length = Math.hypot(...sum);
    for (let c = 0; c < 3; c++) normals[at * 3 + c] = sum[c]! / length;
  }
  return normals;
}

/** 255 where a thing meets something else: the pixels whose left or upper neighbours, up to `reach`, differ. */
function withBorders(classes: Uint8Array, things: Int16Array, width: number, height: number): Uint8Array {
  const reach = Math.max(1, Math.round(Math.max(width, height) / 200));
  const bordered = classes.slice();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      for (let step = 1; step <= reach; step++) {
        const differs = (x >= step && things[at - step] !== things[at]) || (y >= step && things[at - step * width] !== things[at]);
        if (differs) bordered[at] = 255;
      }
    }
  }
  return bordered;
}

/**
 * The salient thing: the largest √area · (1 − ⅔·distance of its centre from the picture's, in half diagonals).
 * Large and central wins; a square root keeps a big thing at the rim from beating the one that is looked at.
 */
export function salientThing(things: readonly ThingMask[], width: number, height: number): number {
  const scores = things.map(({ mask }) => {
    let [area, sumX, sumY] = [0, 0, 0];
    mask.forEach((inside, at) => {
      if (!inside) return;
      area += 1;
      sumX += at % width;
      sumY += Math.floor(at / width);
    });
    const away = Math.hypot(sumX / area - width / 2, sumY / area - height / 2) / (Math.hypot(width, height) / 2);
    return Math.sqrt(area) * (1 - (2 / 3) * away);
  });
  return scores.indexOf(Math.max(...scores));
}

function maskOf(length: number, inside: (at: number) => boolean): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (inside(at) ? 1 : 0));
}

/** All labels of a scene from its map of 2·width x 2·height samples. */
export function labelScene(scene: Scene, view: View, map: DepthMap): Labels {
  const [width, height] = [map.width / 2, map.height / 2];
  const owners = dominantSolids(scene, map, width, height);
  const thingAt = Int16Array.from(owners, (owner) => (owner < 0 ? -1 : scene.solids[owner]!.thing));
  const partAt = Array.from(owners, (owner) => scene.solids[owner]?.part);

  const shown = scene.things.map((name, thing) => ({ name, thing })).filter(({ thing }) => thingAt.includes(thing));
  const things = shown.map(({ name, thing }): ThingMask => {
    const mask = maskOf(owners.length, (at) => thingAt[at] === thing);
    const names = [...new Set(scene.solids.filter((solid) => solid.thing === thing && solid.part).map((solid) => solid.part!))];
    const parts = names.map((part) => ({ name: part, mask: maskOf(owners.length, (at) => mask[at] === 1 && partAt[at] === part) }));
    return { name, voc: SYNTH_CLASSES[name].voc, mask, parts: parts.filter((part) => part.mask.includes(1)) };
  });
  const salient = shown[salientThing(things, width, height)]?.thing ?? -2;
  const saliency = Float32Array.from(owners, (_, at) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    const inside = [0, 1, 2, 3].filter((i) => {
      const owner = map.solid[(2 * y + (i >> 1)) * map.width + 2 * x + (i & 1)]!;
      return owner >= 0 && scene.solids[owner]!.thing === salient;
    });
    return inside.length / 4;
  });
  const classes = Uint8Array.from(thingAt, (thing) => (thing < 0 ? 0 : SYNTH_CLASSES[scene.things[thing]!].voc));
  return {
    semseg: withBorders(classes, thingAt, width, height),
    context: Uint16Array.from(owners, (owner) => (owner < 0 ? CONTEXT.sky : scene.solids[owner]!.label)),
    things,
    normals: normalMap(scene, view, owners, map, width, height),
    saliency,
  };
}
