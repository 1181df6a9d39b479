import { rotation, type Vec3 } from './affine.ts';
import { hsv, patterned, plain, tint, type Material } from './material.ts';
import { ball, block, rod, tube, type Piece } from './piece.ts';
import type { Random } from './random.ts';

const RUBBER = plain(hsv(0, 0, 0.14));
const GLASS = plain(hsv(0.57, 0.35, 0.32), 0.8);
const LAMP = plain(hsv(0.14, 0.25, 1), 0.5);
const STEEL = plain(hsv(0.6, 0.06, 0.55), 0.5);

/** A saloon, 4 m long in x: body, bumpers, tapered cabin of glass, lamps, wheels; any strong colour. */
export function car(random: Random): Piece[] {
  const paint = plain(tint(random, random.unit(), 0, [0.55, 0.95], [0.45, 0.95]), 0.7);
  const length = random.between(3.6, 4.4);
  const height = random.between(1.3, 1.6);
  const width = random.between(1.6, 1.8);
  const [sill, belt] = [0.3, height * 0.58];
  const body = block([0, (sill + belt) / 2, 0], [length * 0.97, belt - sill, width], paint, undefined, 0.96);
  const bumpers = [-0.46, 0.46].map((end) => {
    const [x, y, z] = [end * length, sill + 0.12, width * 0.42];
    return rod([x, y, -z], [x, y, z], 0.14, STEEL);
  });
  const lamps = [-0.36, 0.36].map((side) =>
    ball([length * 0.48, belt * 0.78, side * width], [0.07, 0.11, 0.14], LAMP),
  );
  const cabin: Vec3 = [length * random.between(0.5, 0.62), height - belt, width];
  const centre: Vec3 = [length * random.between(-0.08, 0.02), (belt + height) / 2, 0];
  return [body, ...bumpers, ...lamps, ...cabinPieces(centre, cabin, paint), ...wheels(length, width)];
}

/** A roof on windscreens that reach a little out of it, and two windows a side. */
function cabinPieces(centre: Vec3, [long, high, wide]: Vec3, paint: Material): Piece[] {
  const [x, y] = [centre[0], centre[1] - 0.02];
  const windows = [-0.19, 0.19].map((offset) =>
    block([x + offset * long, y, 0], [long * 0.36, high * 0.7, wide * 0.935], GLASS, undefined, 0.78),
  );
  return [
    block(centre, [long, high, wide * 0.92], paint, undefined, 0.74),
    block([x, y, 0], [long * 1.012, high * 0.72, wide * 0.8], GLASS, undefined, 0.78),
    ...windows,
  ];
}

function wheels(length: number, width: number): Piece[] {
  const axles = [-0.31 * length, 0.31 * length];
  const corners = axles.flatMap((x) => [-width, width].map((z) => [x, z] as const));
  return corners.flatMap(([x, z]) => [
    tube([x, 0.33, z * 0.36], [x, 0.33, z * 0.52], 0.33, RUBBER),
    tube([x, 0.33, z * 0.36], [x, 0.33, z * 0.53], 0.18, STEEL),
  ]);
}

/** A locomotive, 9 m long in x with its face at +x: box with a round roof, a row of windows, a stripe. */
export function train(random: Random): Piece[] {
  const livery = tint(random, random.pick([0.0, 0.12, 0.33, 0.6]), 0.03, [0.6, 0.9], [0.45, 0.85]);
  const paint = plain(livery, 0.3);
  const stripe = plain(random.pick<Vec3>([hsv(0.14, 0.85, 0.95), hsv(0, 0, 0.92), hsv(0, 0.8, 0.75)]), 0.3);
  const [length, width, floor, eaves] = [9, 2.6, 0.9, 3.0];
  const [middle, body] = [(floor + eaves) / 2, eaves - floor];
  const pieces = [
    block([0, middle, 0], [length, body, width], paint),
    tube(
      [-length * 0.497, eaves - 0.12, 0],
      [length * 0.497, eaves - 0.12, 0],
      width * 0.49,
      plain(hsv(0.6, 0.06, 0.5), 0.2),
    ),
    block([0, middle - 0.45, 0], [length * 1.004, 0.28, width * 1.012], stripe),
    block([0, 0.6, 0], [length * 0.94, 0.6, width * 0.8], plain(hsv(0, 0, 0.2))),
    block([length / 2, middle + 0.5, 0], [0.06, 0.75, width * 0.8], GLASS),
    block([length / 2 + 0.1, floor + 0.05, 0], [0.3, 0.35, width * 0.9], plain(hsv(0, 0, 0.25))),
  ];
  for (const z of [-0.8, 0.8]) pieces.push(ball([length / 2, floor + 0.45, z], [0.08, 0.16, 0.16], LAMP));
  for (let x = -length / 2 + 0.8; x < length / 2 - 0.6; x += 1.35) {
    pieces.push(block([x, middle + 0.45, 0], [0.9, 0.7, width * 1.01], GLASS));
  }
  for (let x = -3.6; x <= 3.7; x += 1.2) {
    pieces.push(tube([x, 0.42, -width * 0.42], [x, 0.42, width * 0.42], 0.42, plain(hsv(0, 0, 0.12))));
  }
  return pieces;
}

/** A potted plant: a clay pot with a ball of leaves, or with a fan of long ones. */
export function pottedplant(random: Random): Piece[] {
  const clay = plain(tint(random, random.pick([0.04, 0.06, 0.58]), 0.02, [0.4, 0.7], [0.45, 0.8]));
  const leaf = tint(random, 0.3, 0.05, [0.55, 0.9], [0.3, 0.65]);
  const leaves = patterned(
    'grain',
    leaf,
    [leaf[0] * 0.35, leaf[1] * 0.45, leaf[2] * 0.35],
    random.between(6, 12),
  );
  const pot = random.between(0.3, 0.42);
  const pieces = [
    tube([0, 0, 0], [0, pot, 0], pot * 0.45, clay, 1.4),
    tube([0, pot - 0.05, 0], [0, pot + 0.03, 0], pot * 0.68, clay),
  ];
  if (random.chance(0.5)) {
    for (let i = 0; i < 7; i++) {
      const r = random.between(0.14, 0.24);
      const centre: Vec3 = [
        random.between(-0.2, 0.2),
        pot + random.between(0.15, 0.6),
        random.between(-0.2, 0.2),
      ];
      pieces.push(ball(centre, [r, r * random.between(0.8, 1.2), r], leaves));
    }
  } else {
    for (let i = 0; i < 11; i++) {
      const turn = random.between(0, 2 * Math.PI);
      const [lean, long] = [random.between(0.1, 0.75), random.between(0.5, 0.85)];
      const tip: Vec3 = [
        long * Math.sin(lean) * Math.cos(turn),
        pot + long * Math.cos(lean),
        long * Math.sin(lean) * Math.sin(turn),
      ];
      const middle: Vec3 = [tip[0] * 0.5, (pot + tip[1]) * 0.5 + 0.05, tip[2] * 0.5];
      const turned = rotation(1, -turn);
      pieces.push(ball(middle, [0.05 + 0.3 * Math.sin(lean), long * 0.5, 0.06], plain(leaf, 0.2), turned));
    }
  }
  return pieces;
}
