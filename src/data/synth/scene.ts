import { chain, inverse, rotation, scaling, translation, unitVector, type Affine, type Vec3 } from './affine.ts';
import { indoorBackdrop, outdoorBackdrop, type Backdrop } from './backdrop.ts';
import { SYNTH_CLASSES, type ClassName, type Setting } from './classes.ts';
import { bottle, chair, diningtable, sofa, TABLE_TOP, tvmonitor } from './furniture.ts';
import { cat, dog, horse, sheep } from './animals.ts';
import { person } from './people.ts';
import type { Piece } from './piece.ts';
import type { Random } from './random.ts';
import { car, pottedplant, train } from './vehicles.ts';

/** A piece in the world: x right, y up, the camera looking to −z; `thing` indexes the scene's things, −1 is backdrop. */
export type Solid = Piece & {
  readonly toWorld: Affine; readonly fromWorld: Affine;
  readonly thing: number;
  /** PASCAL-Context class. */
  readonly label: number;
};

export type Camera = { readonly position: Vec3; readonly pitch: number; /** Focal length in image heights. */ readonly focal: number };

export type Light = {
  /** Unit vector to the sun or lamp. */
  readonly direction: Vec3;
  readonly colour: Vec3;
  readonly ambient: Vec3;
};

export type Scene = {
  readonly things: readonly ClassName[];
  readonly solids: readonly Solid[];
  readonly camera: Camera;
  readonly light: Light;
  readonly backdrop: Backdrop;
};

type Model = {
  readonly build: (random: Random) => Piece[];
  /** Radius of the circle on the ground that it takes. */
  readonly radius: number;
  readonly height: number;
  /** Turns about y that show it well; its front is +z, an animal's or vehicle's +x. */
  readonly yaw: readonly [number, number];
  /** Enlarged for a picture of its own; small things would hardly show beside a car. */
  readonly size: readonly [number, number];
};

const SIDEWAYS: readonly [number, number] = [-1.1, 0.5];

const MODELS: Record<ClassName, Model> = {
  bottle: { build: bottle, radius: 0.17, height: 0.95, yaw: [0, 6.28], size: [0.8, 1.1] },
  car: { build: car, radius: 2.0, height: 1.5, yaw: [-1.2, 0.8], size: [0.8, 1] },
  cat: { build: cat, radius: 0.45, height: 0.75, yaw: SIDEWAYS, size: [1, 1.4] },
  chair: { build: chair, radius: 0.36, height: 1.0, yaw: [-1.3, 1.3], size: [0.95, 1.15] },
  diningtable: { build: diningtable, radius: 0.8, height: 0.75, yaw: [-0.5, 0.5], size: [0.95, 1.1] },
  dog: { build: dog, radius: 0.6, height: 0.95, yaw: SIDEWAYS, size: [0.9, 1.2] },
  horse: { build: horse, radius: 1.0, height: 2.0, yaw: SIDEWAYS, size: [0.9, 1.05] },
  person: { build: person, radius: 0.4, height: 1.75, yaw: [-1.0, 1.0], size: [0.95, 1.05] },
  pottedplant: { build: pottedplant, radius: 0.4, height: 1.1, yaw: [0, 6.28], size: [0.8, 1.3] },
  sheep: { build: sheep, radius: 0.65, height: 1.05, yaw: SIDEWAYS, size: [0.9, 1.1] },
  sofa: { build: sofa, radius: 1.1, height: 0.95, yaw: [-0.7, 0.7], size: [0.95, 1.1] },
  train: { build: train, radius: 3.2, height: 3.4, yaw: [-1.3, -0.5], size: [0.8, 0.95] },
  tvmonitor: { build: tvmonitor, radius: 0.55, height: 0.85, yaw: [-0.6, 0.6], size: [0.9, 1.1] },
};

const STANDS_ON_TABLE: readonly ClassName[] = ['bottle', 'cat', 'pottedplant', 'tvmonitor'];

type Placed = { readonly name: ClassName; readonly at: Vec3; readonly size: number; readonly radius: number };

const SHARE_WITH_PEOPLE = 0.6;

/** One to four things; people in about six of ten scenes. The first is the one that the camera looks at. */
function chooseThings(random: Random, setting: Setting): ClassName[] {
  const names = Object.keys(SYNTH_CLASSES) as ClassName[];
  const others = names.filter((name) => name !== 'person' && (SYNTH_CLASSES[name].settings as readonly Setting[]).includes(setting));
  const chosen: ClassName[] = [];
  const withPeople = random.chance(SHARE_WITH_PEOPLE);
  if (withPeople) chosen.push('person');
  if (withPeople && random.chance(0.3)) chosen.push('person');
  const extra = random.pick(withPeople ? [0, 1, 1, 2] : [1, 1, 2, 3]);
  for (let i = 0; i < extra; i++) chosen.push(random.pick(others));
  const first = random.below(chosen.length);
  return [chosen[first]!, ...chosen.filter((_, i) => i !== first)];
}

/** The hero stands near the middle, the others around or behind it, no two on the same ground. */
function placeThings(random: Random, names: readonly ClassName[], focal: number, aspect: number): Placed[] {
  const placed: Placed[] = [];
  let distance = 0;
  for (const name of names) {
    const { height, radius, size } = MODELS[name];
    const grown = random.between(...size);
    const table = placed.find((other) => other.name === 'diningtable' && !placed.some((thing) => thing.at[1] > 0));
    if (table && STANDS_ON_TABLE.includes(name)) {
      const at: Vec3 = [table.at[0] + random.between(-0.3, 0.3), TABLE_TOP * table.size, table.at[2] + random.between(-0.15, 0.15)];
      placed.push({ name, at, size: grown * 0.6, radius: 0 });
      continue;
    }
    const reach = radius * grown;
    const first = placed.length === 0;
    // seen from `distance`, a height h takes focal·h/distance of the picture's height, and a width likewise
    if (first) {
      const shown = random.between(0.5, 0.85) * (random.chance(0.2) ? 1.5 : 1) / focal;
      distance = Math.max(height / shown, (1.6 * radius) / (shown * aspect)) * grown + reach * 0.5;
    }
    for (let attempt = 0; attempt < 25; attempt++) {
      const z = first ? distance : Math.max(distance * random.between(0.8, 2), reach + 1.2);
      const halfWidth = (z * aspect) / (2 * focal);
      const x = random.between(-1, 1) * halfWidth * (first ? 0.3 : 0.85);
      const free = placed.every(({ at, radius: taken }) => at[1] > 0 || Math.hypot(at[0] - x, at[2] + z) > (taken + reach) * 0.85);
      if (!free) continue;
      placed.push({ name, at: [x, 0, -z], size: grown, radius: reach });
      break;
    }
  }
  return placed;
}

function makeSolid(piece: Piece, place: Affine, thing: number, label: number): Solid {
  const toWorld = chain(place, piece.place);
  return { ...piece, toWorld, fromWorld: inverse(toWorld), thing, label: piece.context ?? label };
}

function makeLight(random: Random, setting: Setting): Light {
  const [turn, height] = [random.between(-1.3, 1.3), random.between(0.45, 1.15)];
  const direction = unitVector([Math.sin(turn) * Math.cos(height), Math.sin(height), Math.cos(turn) * Math.cos(height)]);
  const warm = random.between(-0.12, 0.12);
  const strength = setting === 'outdoor' ? random.between(0.85, 1.25) : random.between(0.6, 1.0);
  const fill = setting === 'outdoor' ? random.between(0.3, 0.5) : random.between(0.35, 0.55);
  return {
    direction,
    colour: [strength * (1 + warm), strength, strength * (1 - warm)],
    ambient: setting === 'outdoor' ? [fill * 0.9, fill, fill * 1.15] : [fill * 1.05, fill, fill * 0.92],
  };
}

/** A random scene for a picture of `aspect` = width / height. */
export function makeScene(random: Random, aspect: number): Scene {
  const setting: Setting = random.chance(0.5) ? 'indoor' : 'outdoor';
  const focal = random.between(1.0, 1.4) * Math.min(1, aspect);
  const placed = placeThings(random, chooseThings(random, setting), focal, aspect);

  const hero = placed[0]!;
  const heroHeight = MODELS[hero.name].height * hero.size;
  const distance = -hero.at[2];
  const eye = Math.max(0.6, Math.min(2.2, heroHeight * random.between(0.7, 1.3) + random.between(0, 0.15) * distance));
  const aim = heroHeight * random.between(0.42, 0.6);
  const camera: Camera = { position: [0, eye, 0], pitch: Math.atan2(eye - aim, distance), focal };

  const far = Math.max(...placed.map((thing) => thing.radius - thing.at[2]));
  const wide = Math.max(...placed.map((thing) => thing.radius + Math.abs(thing.at[0])));
  const view = { far, wide, spread: aspect / focal };
  const backdrop = setting === 'indoor' ? indoorBackdrop(random, view) : outdoorBackdrop(random, view);
  const solids = backdrop.pieces.map((piece) => makeSolid(piece, translation([0, 0, 0]), -1, 0));
  placed.forEach(({ name, at, size }, thing) => {
    const { build, yaw } = MODELS[name];
    const mirrored = random.chance(0.5);
    const place = chain(
      translation(at), scaling([mirrored ? -size : size, size, size]), rotation(1, random.between(...yaw)));
    const pieces = build(random).map((piece) => (mirrored && piece.part ? { ...piece, part: swapSides(piece.part) } : piece));
    solids.push(...pieces.map((piece) => makeSolid(piece, place, thing, SYNTH_CLASSES[name].context)));
  });
  return { things: placed.map(({ name }) => name), solids, camera, light: makeLight(random, setting), backdrop };
}

/** A mirrored left arm is a right arm. */
function swapSides(part: string): string {
  if (!/^[lr](uarm|larm|hand|uleg|lleg|foot|eye|ear|ebrow)$/.test(part)) return part;
  return (part.startsWith('l') ? 'r' : 'l') + part.slice(1);
}
