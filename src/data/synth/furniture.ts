import { rotation, type Vec3 } from './affine.ts';
import { hsv, patterned, plain, tint, type Material } from './material.ts';
import { ball, block, rod, tube, type Piece } from './piece.ts';
import type { Random } from './random.ts';

function wood(random: Random): Material {
  const light = tint(random, 0.08, 0.02, [0.45, 0.7], [0.4, 0.75]);
  return patterned(
    'planks',
    light,
    [light[0] * 0.6, light[1] * 0.55, light[2] * 0.5],
    random.between(5, 9),
    0.15,
  );
}

function fabric(random: Random): Material {
  const hue = random.unit();
  const cloth = hsv(hue, random.between(0.35, 0.75), random.between(0.35, 0.8));
  if (random.chance(0.5)) return plain(cloth);
  const other = hsv((hue + random.pick([0.08, 0.5])) % 1, 0.4, random.between(0.5, 0.9));
  return patterned(random.pick(['stripes', 'checks', 'cloudy'] as const), cloth, other, random.between(4, 9));
}

/** Four legs under the corners of a rectangle. */
function legs(halfX: number, halfZ: number, height: number, radius: number, material: Material): Piece[] {
  return [
    [-1, -1],
    [-1, 1],
    [1, -1],
    [1, 1],
  ].map(([sx, sz]) =>
    tube([sx! * halfX, 0, sz! * halfZ], [sx! * halfX, height, sz! * halfZ], radius, material),
  );
}

/** Surface of revolution: belly, shoulder, neck, cap; green, brown, blue or red, glossy, with a label. */
export function bottle(random: Random): Piece[] {
  const glass = plain(tint(random, random.pick([0.33, 0.08, 0.6, 0.0]), 0.03, [0.6, 0.95], [0.25, 0.6]), 1);
  const cap = plain(tint(random, random.unit(), 0, [0.5, 0.9], [0.5, 0.9]), 0.4);
  const paper = patterned(
    'bands',
    hsv(0.12, 0.15, 0.95),
    hsv(random.unit(), 0.7, 0.7),
    random.between(6, 12),
  );
  const [radius, belly, neck] = [
    random.between(0.13, 0.17),
    random.between(0.42, 0.55),
    random.between(0.18, 0.3),
  ];
  const shoulder = random.between(0.12, 0.2);
  const lip = belly + shoulder + neck;
  return [
    tube([0, 0, 0], [0, belly, 0], radius, glass),
    tube([0, belly * 0.25, 0], [0, belly * 0.75, 0], radius * 1.02, paper),
    tube([0, belly, 0], [0, belly + shoulder, 0], radius, glass, 0.4),
    tube([0, belly + shoulder, 0], [0, lip, 0], radius * 0.4, glass, 0.85),
    tube([0, lip - 0.02, 0], [0, lip + 0.05, 0], radius * 0.42, cap),
  ];
}

export function chair(random: Random): Piece[] {
  const frame = random.chance(0.6)
    ? wood(random)
    : plain(tint(random, random.unit(), 0, [0.1, 0.8], [0.2, 0.7]), 0.3);
  const seat = random.chance(0.5) ? fabric(random) : frame;
  const [w, d, h, back] = [0.46, 0.44, random.between(0.44, 0.5), random.between(0.45, 0.6)];
  const pieces = [...legs(w * 0.45, d * 0.45, h, 0.025, frame), block([0, h, 0], [w, 0.06, d], seat)];
  const posts = ([-1, 1] as const).map((side) =>
    rod([side * w * 0.44, h, -d * 0.46], [side * w * 0.44, h + back, -d * 0.56], 0.025, frame),
  );
  if (random.chance(0.5)) {
    pieces.push(
      block([0, h + back * 0.68, -d * 0.52], [w * 0.92, back * 0.55, 0.04], seat, rotation(0, -0.1)),
    );
  } else {
    for (const y of [0.4, 0.65, 0.92]) {
      pieces.push(block([0, h + back * y, -d * (0.46 + 0.1 * y)], [w * 0.9, 0.07, 0.03], frame));
    }
  }
  return [...pieces, ...posts];
}

/** Height of the table's top, on which small things may stand. */
export const TABLE_TOP = 0.74;

export function diningtable(random: Random): Piece[] {
  const material = wood(random);
  const top = random.chance(0.3) ? fabric(random) : material;
  if (random.chance(0.4)) {
    const radius = random.between(0.5, 0.7);
    return [
      tube([0, TABLE_TOP - 0.05, 0], [0, TABLE_TOP, 0], radius, top),
      tube([0, 0.05, 0], [0, TABLE_TOP - 0.05, 0], 0.07, material, 0.8),
      tube([0, 0, 0], [0, 0.08, 0], radius * 0.55, material, 0.5),
    ];
  }
  const [w, d] = [random.between(1.1, 1.6), random.between(0.7, 0.95)];
  return [
    block([0, TABLE_TOP - 0.025, 0], [w, 0.05, d], top),
    ...legs(w * 0.45, d * 0.43, TABLE_TOP - 0.05, 0.04, material),
  ];
}

export function sofa(random: Random): Piece[] {
  const cover = fabric(random);
  const cushion = random.chance(0.5) ? cover : fabric(random);
  const [w, d, seat, back] = [random.between(1.5, 2.1), 0.85, 0.4, random.between(0.78, 0.95)];
  const pieces = [
    block([0, seat / 2 + 0.03, 0], [w, seat - 0.06, d], cover),
    block([0, (back + 0.1) / 2, -d * 0.4], [w, back - 0.1, 0.22], cover, rotation(0, -0.08)),
    rod([-w * 0.44, back, -d * 0.44], [w * 0.44, back, -d * 0.44], 0.11, cover),
  ];
  for (const side of [-1, 1]) {
    pieces.push(block([side * w * 0.5, 0.32, 0], [0.2, 0.56, d], cover));
    pieces.push(rod([side * w * 0.5, 0.6, -d * 0.4], [side * w * 0.5, 0.6, d * 0.42], 0.12, cover));
    pieces.push(block([side * w * 0.225, seat + 0.05, 0.06], [w * 0.43, 0.14, d * 0.75], cushion));
  }
  if (random.chance(0.6)) {
    const pillow = fabric(random);
    pieces.push(
      ball([random.between(-0.3, 0.3) * w, seat + 0.28, -0.1], [0.22, 0.2, 0.09], pillow, rotation(0, -0.3)),
    );
  }
  return pieces;
}

/** A dark glossy screen with a light picture on it, on a foot. */
export function tvmonitor(random: Random): Piece[] {
  const shell = plain(hsv(0, 0, random.between(0.1, 0.3)), 0.5);
  const hue = random.unit();
  const picture = patterned(
    random.pick(['bands', 'checks', 'cloudy'] as const),
    hsv(hue, random.between(0.4, 0.8), random.between(0.5, 0.95)),
    hsv((hue + 0.4) % 1, 0.6, random.between(0.3, 0.7)),
    random.between(3, 7),
    0.9,
  );
  const [w, h, foot] = [random.between(0.95, 1.25), random.between(0.6, 0.75), random.between(0.12, 0.22)];
  const centre: Vec3 = [0, foot + h / 2, 0];
  return [
    block(centre, [w, h, 0.09], shell),
    block(
      [0, centre[1], 0.03],
      [w * 0.9, h * 0.84, 0.08],
      random.chance(0.75) ? picture : plain(hsv(0.6, 0.3, 0.12), 1),
    ),
    block([0, centre[1], -0.1], [w * 0.6, h * 0.6, 0.18], shell, undefined, 0.8),
    tube([0, 0.02, 0], [0, foot, 0], 0.07, shell),
    tube([0, 0, 0], [0, 0.04, 0], 0.26, shell, 0.8),
  ];
}
