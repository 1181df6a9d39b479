import {
  chain,
  inverse,
  rotation,
  scaling,
  translation,
  unitVector,
  type Affine,
  type Vec3,
} from './affine.ts';
import { indoorBackdrop, outdoorBackdrop, type Backdrop } from './backdrop.ts';
import { SYNTH_CLASSES, type ClassName, type Setting } from './classes.ts';
import { MODELS } from './models.ts';
import type { Piece } from './piece.ts';
import { chooseThings, placeThings } from './placement.ts';
import type { Random } from './random.ts';

/** A piece in the world: x right, y up, the camera looking to −z. */
export type Solid = Piece & {
  readonly toWorld: Affine;
  readonly fromWorld: Affine;
  /** Index of the scene's thing; −1 for the backdrop. */
  readonly thing: number;
  /** PASCAL-Context class. */
  readonly label: number;
};

export type Camera = {
  readonly position: Vec3;
  readonly pitch: number;
  /** Focal length in image heights. */ readonly focal: number;
};

type Light = {
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

function makeSolid(piece: Piece, place: Affine, thing: number, label: number): Solid {
  const toWorld = chain(place, piece.place);
  return { ...piece, toWorld, fromWorld: inverse(toWorld), thing, label: piece.context ?? label };
}

function makeLight(random: Random, setting: Setting): Light {
  const [turn, height] = [random.between(-1.3, 1.3), random.between(0.45, 1.15)];
  const direction = unitVector([
    Math.sin(turn) * Math.cos(height),
    Math.sin(height),
    Math.cos(turn) * Math.cos(height),
  ]);
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
  const placed = placeThings(random, chooseThings(random, setting), { focal, aspect });

  const hero = placed[0]!;
  const heroHeight = MODELS[hero.name].height * hero.size;
  const distance = -hero.at[2];
  const eye = Math.max(
    0.6,
    Math.min(2.2, heroHeight * random.between(0.7, 1.3) + random.between(0, 0.15) * distance),
  );
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
      translation(at),
      scaling([mirrored ? -size : size, size, size]),
      rotation(1, random.between(...yaw)),
    );
    const pieces = build(random).map((piece) =>
      mirrored && piece.part ? { ...piece, part: swapSides(piece.part) } : piece,
    );
    solids.push(...pieces.map((piece) => makeSolid(piece, place, thing, SYNTH_CLASSES[name].context)));
  });
  return {
    things: placed.map(({ name }) => name),
    solids,
    camera,
    light: makeLight(random, setting),
    backdrop,
  };
}

/** A mirrored left arm is a right arm. */
function swapSides(part: string): string {
  if (!/^[lr](uarm|larm|hand|uleg|lleg|foot|eye|ear|ebrow)$/.test(part)) return part;
  return (part.startsWith('l') ? 'r' : 'l') + part.slice(1);
}
