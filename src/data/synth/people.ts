import {
  add,
  along,
  applied,
  chain,
  dot,
  lerp,
  rotation,
  scaling,
  unitVector,
  type Affine,
  type Vec3,
} from './affine.ts';
import { hsv, patterned, plain, type Material } from './material.ts';
import { ball, rod, type Piece } from './piece.ts';
import type { Random } from './random.ts';

type Clothes = {
  readonly skin: Material;
  readonly hair: Material;
  readonly shirt: Material;
  readonly trousers: Material;
  readonly shoes: Material;
  readonly longSleeves: boolean;
  readonly longTrousers: boolean;
};

function dress(random: Random): Clothes {
  const hue = random.unit();
  const cloth = hsv(hue, random.between(0.1, 0.85), random.between(0.3, 0.95));
  const other = hsv((hue + 0.4) % 1, random.between(0.1, 0.6), random.between(0.3, 0.95));
  const shirt = random.chance(0.65)
    ? plain(cloth)
    : patterned(random.pick(['bands', 'checks', 'stripes'] as const), cloth, other, random.between(8, 14));
  const denim = hsv(random.pick([0.6, 0.6, 0.09, 0]), random.between(0, 0.5), random.between(0.12, 0.55));
  return {
    skin: plain(
      random.pick<Vec3>([
        hsv(0.06, 0.32, 0.93),
        hsv(0.07, 0.42, 0.82),
        hsv(0.065, 0.55, 0.6),
        hsv(0.06, 0.55, 0.4),
      ]),
      0.1,
    ),
    hair: plain(
      random.pick<Vec3>([
        hsv(0.08, 0.4, 0.1),
        hsv(0.07, 0.6, 0.28),
        hsv(0.11, 0.55, 0.78),
        hsv(0.03, 0.7, 0.45),
        hsv(0, 0, 0.6),
      ]),
      0.2,
    ),
    shirt,
    trousers: plain(denim),
    shoes: plain(hsv(random.unit(), random.between(0, 0.6), random.between(0.1, 0.8)), 0.3),
    longSleeves: random.chance(0.5),
    longTrousers: random.chance(0.75),
  };
}

/** Unit direction of a hanging limb, raised by `aside` to its own side and by `forward` to the front. */
function limbDirection(side: number, aside: number, forward: number): Vec3 {
  return [side * Math.sin(aside), -Math.cos(aside) * Math.cos(forward), Math.cos(aside) * Math.sin(forward)];
}

/** `direction` bent by `angle` towards `towards`. */
function bent(direction: Vec3, towards: Vec3, angle: number): Vec3 {
  const sideways = unitVector(along(towards, direction, -dot(towards, direction)));
  return along(
    [direction[0] * Math.cos(angle), direction[1] * Math.cos(angle), direction[2] * Math.cos(angle)],
    sideways,
    Math.sin(angle),
  );
}

const named = (part: string, piece: Piece): Piece => ({ ...piece, part });

/** Shoulder to hand; `side` is 1 for the person's left, which is +x. */
function arm(random: Random, side: number, shoulder: Vec3, clothes: Clothes): Piece[] {
  const s = side > 0 ? 'l' : 'r';
  const raise = random.pick([0, 0, 1, 2]);
  const [aside, forward] =
    raise === 0
      ? [random.between(0.08, 0.5), random.between(-0.5, 0.5)]
      : raise === 1
        ? [random.between(1.2, 2.6), random.between(0, 0.5)]
        : [random.between(0.1, 0.5), random.between(0.6, 1.7)];
  const upper = limbDirection(side, aside, forward);
  const lower = bent(
    upper,
    [-side * random.between(-0.3, 0.9), random.between(0.2, 1), random.between(0.4, 1)],
    random.between(0.1, 1.9),
  );
  const elbow = along(shoulder, upper, 0.29);
  const wrist = along(elbow, lower, 0.25);
  const sleeve = clothes.longSleeves ? clothes.shirt : clothes.skin;
  return [
    named(`${s}uarm`, rod(shoulder, elbow, 0.058, clothes.shirt)),
    named(`${s}larm`, rod(elbow, wrist, 0.047, sleeve)),
    named(`${s}hand`, ball(along(wrist, lower, 0.075), [0.052, 0.085, 0.04], clothes.skin, alignedTo(lower))),
  ];
}

/** Hip to foot. */
function leg(random: Random, side: number, hip: Vec3, clothes: Clothes): { pieces: Piece[]; sole: number } {
  const s = side > 0 ? 'l' : 'r';
  const upper = limbDirection(side, random.between(0.02, 0.22), random.between(-0.35, 0.6));
  const lower = bent(upper, [0, 0, -1], random.between(0.03, 0.7));
  const knee = along(hip, upper, 0.42);
  const ankle = along(knee, lower, 0.4);
  const foot = add(ankle, [0, -0.05, 0.07]);
  const shin = clothes.longTrousers ? clothes.trousers : clothes.skin;
  const pieces = [
    named(`${s}uleg`, rod(hip, knee, 0.086, clothes.trousers)),
    named(`${s}lleg`, rod(knee, ankle, 0.064, shin)),
    named(`${s}foot`, ball(foot, [0.06, 0.055, 0.14], clothes.shoes)),
  ];
  return { pieces, sole: foot[1] - 0.055 };
}

/** Rotation alone that takes y to `direction`. */
function alignedTo(direction: Vec3): Affine {
  const tilt = Math.acos(Math.max(-1, Math.min(1, direction[1])));
  return chain(rotation(1, Math.atan2(direction[0], direction[2])), rotation(0, tilt));
}

function head(random: Random, neck: Vec3, clothes: Clothes): Piece[] {
  const [turn, nod] = [random.between(-0.7, 0.7), random.between(-0.2, 0.25)];
  const pose = chain(rotation(1, turn), rotation(0, nod));
  const at = (p: Vec3): Vec3 => add(neck, add([0, 0.17, 0.01], applied(pose, p)));
  const dark = plain(hsv(0.07, 0.4, 0.12), 0.5);
  const pieces = [
    named('neck', rod(along(neck, [0, 1, 0], -0.06), along(neck, [0, 1, 0], 0.1), 0.05, clothes.skin)),
    named('head', ball(at([0, 0, 0]), [0.092, 0.125, 0.105], clothes.skin, pose)),
    named('nose', ball(at([0, -0.015, 0.105]), [0.016, 0.026, 0.022], clothes.skin, pose)),
    named('mouth', ball(at([0, -0.06, 0.088]), [0.03, 0.009, 0.012], plain(hsv(0.99, 0.5, 0.6)), pose)),
    named('hair', ball(at([0, 0.035, -0.022]), [0.1, 0.115, 0.108], clothes.hair, pose)),
  ];
  if (random.chance(0.3))
    pieces.push(named('hair', ball(at([0, -0.06, -0.07]), [0.1, 0.17, 0.06], clothes.hair, pose)));
  for (const side of [1, -1]) {
    const s = side > 0 ? 'l' : 'r';
    pieces.push(named(`${s}eye`, ball(at([side * 0.036, 0.012, 0.093]), [0.015, 0.011, 0.01], dark, pose)));
    pieces.push(
      named(`${s}ear`, ball(at([side * 0.094, -0.005, -0.005]), [0.015, 0.032, 0.022], clothes.skin, pose)),
    );
  }
  return pieces;
}

/** A standing or walking person of about 1.7 m in a random pose and dress, facing +z. */
export function person(random: Random): Piece[] {
  const clothes = dress(random);
  const [shoulderWidth, hipWidth] = [random.between(0.16, 0.2), random.between(0.09, 0.11)];
  const bulk = random.between(0.9, 1.2);
  const [hips, chest, neck]: Vec3[] = [
    [0, 0.94, 0],
    [0, 1.27, 0],
    [0, 1.47, 0],
  ] as [Vec3, Vec3, Vec3];
  const pieces: Piece[] = [
    named('torso', ball(lerp(hips!, chest!, 0.05), [0.165 * bulk, 0.12, 0.12 * bulk], clothes.trousers)),
    named('torso', ball(lerp(hips!, chest!, 0.45), [0.15 * bulk, 0.2, 0.115 * bulk], clothes.shirt)),
    named('torso', ball(chest!, [0.185 * bulk, 0.22, 0.12 * bulk], clothes.shirt)),
    named('torso', rod([-shoulderWidth, 1.405, 0], [shoulderWidth, 1.405, 0], 0.062, clothes.shirt)),
    ...head(random, neck!, clothes),
  ];
  const soles: number[] = [];
  for (const side of [1, -1]) {
    pieces.push(...arm(random, side, [side * (shoulderWidth + 0.01), 1.4, 0], clothes));
    const limb = leg(random, side, [side * hipWidth, 0.9, 0], clothes);
    pieces.push(...limb.pieces);
    soles.push(limb.sole);
  }
  const lean = chain(rotation(2, random.between(-0.1, 0.1)), rotation(0, random.between(-0.05, 0.15)));
  const size = random.between(0.9, 1.08);
  const stand = chain(scaling([size, size, size]), lean, [
    1,
    0,
    0,
    0,
    0,
    1,
    0,
    -Math.min(...soles),
    0,
    0,
    1,
    0,
  ]);
  return pieces.map((piece) => ({ ...piece, place: chain(stand, piece.place) }));
}
