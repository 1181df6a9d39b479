import { CONTEXT, SYNTH_CLASSES, type ClassName } from './classes.ts';
import { normalMap } from './normals.ts';
import type { SampleMap, View } from './raster.ts';
import type { Scene } from './scene.ts';

/** One thing of a picture as PASCAL-Part tells it: mask [H, W] of 0 and 1, and those of a person's parts. */
export type ThingMask = {
  readonly name: ClassName;
  readonly voc: number;
  readonly area: number;
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

/** Solids that no label tells apart: those of one thing, PASCAL-Context class and part. */
type Group = { readonly thing: number; readonly label: number; readonly part: string | undefined };

const SKY: Group = { thing: -1, label: CONTEXT.sky, part: undefined };

/** The groups of a scene, sky first, and the group of each sample [2H, 2W]. */
function groupSamples({ solids }: Scene, map: SampleMap): { groups: Group[]; samples: Uint16Array } {
  const groups = [SKY];
  const groupOf = solids.map(({ thing, label, part }) => {
    const known = groups.findIndex(
      (group) => group.thing === thing && group.label === label && group.part === part,
    );
    return known < 0 ? groups.push({ thing, label, part }) - 1 : known;
  });
  const samples = new Uint16Array(map.solid.length);
  for (let at = 0; at < samples.length; at++) samples[at] = map.solid[at]! < 0 ? 0 : groupOf[map.solid[at]!]!;
  return { groups, samples };
}

/** For each pixel [H, W] the group that most of its 2x2 samples show; of equal ones the nearest. */
function vote(samples: Uint16Array, { depth, width: across, height: down }: SampleMap): Uint16Array {
  const [width, height] = [across / 2, down / 2];
  const winners = new Uint16Array(width * height);
  for (let at = 0; at < winners.length; at++) {
    const corner = 2 * Math.floor(at / width) * across + 2 * (at % width);
    let [bestVotes, bestDepth] = [0, Infinity];
    for (let i = 0; i < 4; i++) {
      const candidate = corner + (i >> 1) * across + (i & 1);
      let votes = 0;
      for (let j = 0; j < 4; j++)
        if (samples[corner + (j >> 1) * across + (j & 1)] === samples[candidate]) votes++;
      if (votes < bestVotes || (votes === bestVotes && depth[candidate]! >= bestDepth)) continue;
      [bestVotes, bestDepth] = [votes, depth[candidate]!];
      winners[at] = samples[candidate]!;
    }
  }
  return winners;
}

/** Masks of every thing and part of which something shows, in the scene's order. */
function maskThings(
  scene: Scene,
  groups: readonly Group[],
  pixels: Uint16Array,
): (ThingMask & { thing: number })[] {
  const thingMasks = scene.things.map(() => new Uint8Array(pixels.length));
  const areas = scene.things.map(() => 0);
  const partMasks = groups.map(({ part }) => (part ? new Uint8Array(pixels.length) : null));
  const seen = new Set<number>();
  pixels.forEach((group, at) => {
    const { thing } = groups[group]!;
    if (thing < 0) return;
    seen.add(group);
    thingMasks[thing]![at] = 1;
    areas[thing]!++;
    const part = partMasks[group];
    if (part) part[at] = 1;
  });
  return scene.things.flatMap((name, thing) => {
    if (areas[thing] === 0) return [];
    const parts = groups.flatMap((group, i) =>
      group.thing === thing && group.part && seen.has(i) ? [{ name: group.part, mask: partMasks[i]! }] : [],
    );
    return [
      { name, thing, voc: SYNTH_CLASSES[name].voc, area: areas[thing]!, mask: thingMasks[thing]!, parts },
    ];
  });
}

/** 255 where a thing meets something else: where a left or upper neighbour, up to `reach` off, differs. */
function withBorders(classes: Uint8Array, things: Int16Array, width: number, height: number): Uint8Array {
  const reach = Math.max(1, Math.round(Math.max(width, height) / 200));
  const bordered = classes.slice();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x;
      for (let step = 1; step <= reach; step++) {
        const differs =
          (x >= step && things[at - step] !== things[at]) ||
          (y >= step && things[at - step * width] !== things[at]);
        if (differs) bordered[at] = 255;
      }
    }
  }
  return bordered;
}

/**
 * How much a thing stands out: √area · (1 − distance of its centre from the picture's, in half diagonals)².
 * Large and central wins; root and square keep a big thing at the rim from beating the one that is looked at.
 */
export function salience(
  { mask, area }: Pick<ThingMask, 'mask' | 'area'>,
  width: number,
  height: number,
): number {
  let [sumX, sumY] = [0, 0];
  mask.forEach((inside, at) => {
    if (!inside) return;
    sumX += (at % width) + 0.5;
    sumY += Math.floor(at / width) + 0.5;
  });
  const away =
    Math.hypot(sumX / area - width / 2, sumY / area - height / 2) / (Math.hypot(width, height) / 2);
  return Math.sqrt(area) * (1 - away) ** 2;
}

/** Share of each pixel's samples that show `thing`. */
function coverage(
  groups: readonly Group[],
  samples: Uint16Array,
  thing: number,
  width: number,
  height: number,
): Float32Array {
  const shares = new Float32Array(width * height);
  for (let at = 0; at < samples.length; at++) {
    if (groups[samples[at]!]!.thing !== thing) continue;
    shares[Math.floor(at / (4 * width)) * width + ((at % (2 * width)) >> 1)]! += 0.25;
  }
  return shares;
}

/** All labels of a scene from its map of 2·width x 2·height samples. */
export function labelScene(scene: Scene, view: View, map: SampleMap): Labels {
  const [width, height] = [map.width / 2, map.height / 2];
  const { groups, samples } = groupSamples(scene, map);
  const pixels = vote(samples, map);
  const things = maskThings(scene, groups, pixels);
  const scores = things.map((thing) => salience(thing, width, height));
  const salient = things[scores.indexOf(Math.max(...scores))];

  const thingAt = Int16Array.from(pixels, (group) => groups[group]!.thing);
  const classes = Uint8Array.from(thingAt, (thing) =>
    thing < 0 ? 0 : SYNTH_CLASSES[scene.things[thing]!].voc,
  );
  return {
    semseg: withBorders(classes, thingAt, width, height),
    context: Uint16Array.from(pixels, (group) => groups[group]!.label),
    things: things.map(({ name, voc, area, mask, parts }) => ({ name, voc, area, mask, parts })),
    normals: normalMap(view, map, samples, pixels),
    saliency: salient
      ? coverage(groups, samples, salient.thing, width, height)
      : new Float32Array(width * height),
  };
}
