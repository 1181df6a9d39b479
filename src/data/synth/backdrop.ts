import { rotation, type Vec3 } from './affine.ts';
import { CONTEXT } from './classes.ts';
import { hsv, patterned, plain, tint } from './material.ts';
import { ball, block, tube, type Piece } from './piece.ts';
import type { Random } from './random.ts';

/** What stands behind the things. */
export type Backdrop = {
  readonly pieces: readonly Piece[];
  /** The sky's colours at the horizon and high up, seen where no piece is. */
  readonly horizon: Vec3;
  readonly zenith: Vec3;
  readonly clouds: number;
  /** Share of the horizon's colour that a metre of air adds. */
  readonly haze: number;
};

/** The space that the things take: farthest point, half width, and the visible width at distance 1. */
type View = { readonly far: number; readonly wide: number; readonly spread: number };

const of = (context: number, piece: Piece): Piece => ({ ...piece, context });

/** Floor, back wall, often a side wall, and things on the wall. */
export function indoorBackdrop(random: Random, { far, wide, spread }: View): Backdrop {
  const [turn, high] = [random.between(-0.3, 0.3), random.between(2.5, 3.2)];
  const depth = far + random.between(0.3, 1.5) + wide * Math.tan(Math.abs(turn));
  const paint = tint(random, random.unit(), 0, [0.03, 0.4], [0.6, 0.95]);
  const paper: Vec3 = [paint[0] * 0.75, paint[1] * 0.75, paint[2] * 0.75];
  const wall = random.chance(0.5)
    ? plain(paint)
    : patterned(random.pick(['stripes', 'cloudy', 'bricks'] as const), paint, paper, random.between(2, 5));
  const pieces = [
    of(CONTEXT.floor, floorPiece(random)),
    of(CONTEXT.wall, block([0, 5, -depth - 0.5], [60, 10, 1], wall, rotation(1, turn))),
  ];
  if (random.chance(0.4)) {
    const side = random.pick([-1, 1]);
    const x = side * Math.max(wide + 0.2, depth * spread * 0.5 * random.between(0.6, 1));
    pieces.push(of(CONTEXT.wall, block([x + side * 0.5, 5, 0], [1, 10, 80], wall)));
  }
  const skirting = plain(random.chance(0.5) ? hsv(0, 0, 0.92) : hsv(0.07, 0.5, 0.35));
  pieces.push(of(CONTEXT.wall, block([0, 0.06, -depth], [60, 0.12, 0.06], skirting, rotation(1, turn))));

  const frame = plain(random.pick<Vec3>([hsv(0, 0, 0.95), hsv(0.08, 0.6, 0.4), hsv(0, 0, 0.2)]));
  for (let i = random.below(3); i > 0; i--) {
    const x = random.between(-0.5, 0.5) * depth * spread;
    const z = -depth + x * -Math.tan(turn);
    if (random.chance(0.35)) {
      const leaf = plain(tint(random, 0.08, 0.04, [0.1, 0.6], [0.4, 0.9]));
      pieces.push(of(CONTEXT.door, block([x, 1.0, z], [0.95, 2.06, 0.1], frame, rotation(1, turn))));
      pieces.push(of(CONTEXT.door, block([x, 1.0, z], [0.82, 1.96, 0.14], leaf, rotation(1, turn))));
    } else {
      const [w, h] = [random.between(0.5, 1.3), random.between(0.5, 1.1)];
      const pane = patterned(
        'cloudy',
        tint(random, 0.57, 0.05, [0.1, 0.4], [0.8, 1]),
        tint(random, 0.3, 0.1, [0.2, 0.5], [0.5, 0.9]),
        2.5,
      );
      pieces.push(of(CONTEXT.window, block([x, 1.65, z], [w, h, 0.1], frame, rotation(1, turn))));
      pieces.push(
        of(CONTEXT.window, block([x, 1.65, z], [w * 0.86, h * 0.86, 0.13], pane, rotation(1, turn))),
      );
    }
  }
  pieces.push(of(CONTEXT.ceiling, block([0, high + 0.5, 0], [60, 1, 80], plain(hsv(0.1, 0.05, 0.95)))));
  const air = hsv(0.1, 0.05, 0.9);
  return { pieces, horizon: air, zenith: air, clouds: 0, haze: 0 };
}

function floorPiece(random: Random): Piece {
  const kind = random.pick(['planks', 'checks', 'cloudy'] as const);
  const base =
    kind === 'planks'
      ? tint(random, 0.08, 0.02, [0.35, 0.65], [0.4, 0.75])
      : tint(random, random.unit(), 0, [0.05, 0.4], [0.4, 0.85]);
  const other: Vec3 = [base[0] * 0.55, base[1] * 0.52, base[2] * 0.5];
  const frequency = kind === 'checks' ? random.between(1, 2.5) : random.between(3, 7);
  return block(
    [0, -0.5, 0],
    [60, 1, 80],
    patterned(kind, base, other, frequency, 0.2),
    rotation(1, random.between(-0.5, 0.5)),
  );
}

/** Ground, sky, and far houses and trees. */
export function outdoorBackdrop(random: Random, { far, spread }: View): Backdrop {
  const [name, base] = random.pick([
    ['grass', tint(random, 0.26, 0.04, [0.45, 0.75], [0.35, 0.6])],
    ['ground', tint(random, 0.09, 0.02, [0.25, 0.5], [0.5, 0.75])],
    ['road', tint(random, 0.6, 0.05, [0, 0.1], [0.35, 0.6])],
  ] as const);
  const other: Vec3 = [base[0] * 0.6, base[1] * 0.62, base[2] * 0.55];
  const soil = patterned(
    random.pick(['cloudy', 'cloudy', 'grain'] as const),
    base,
    other,
    random.between(4, 9),
  );
  const pieces = [of(CONTEXT[name], block([0, -0.5, -100], [400, 1, 300], soil))];
  for (let i = random.below(4); i > 0; i--) {
    const z = -(far + random.between(9, 28));
    pieces.push(...house(random, random.between(-0.6, 0.6) * -z * spread, z));
  }
  for (let i = random.below(6); i > 0; i--) {
    const z = -(far + random.between(2, 22));
    pieces.push(...tree(random, random.between(-0.7, 0.7) * -z * spread, z));
  }
  const grey = random.chance(0.3);
  return {
    pieces,
    horizon: grey ? hsv(0.6, 0.05, 0.88) : tint(random, 0.58, 0.05, [0.1, 0.25], [0.9, 1]),
    zenith: grey ? hsv(0.6, 0.08, 0.7) : tint(random, 0.6, 0.02, [0.45, 0.7], [0.7, 0.95]),
    clouds: random.chance(0.6) ? random.between(0.3, 0.9) : 0,
    haze: random.between(0.002, 0.012),
  };
}

function house(random: Random, x: number, z: number): Piece[] {
  const [w, h, d] = [random.between(4, 9), random.between(3, 7), random.between(4, 7)];
  const turned = rotation(1, random.between(-0.6, 0.6));
  const paint = tint(random, random.pick([0.02, 0.1, 0.6]), 0.04, [0.1, 0.5], [0.5, 0.9]);
  const walls = patterned(
    random.pick(['bricks', 'plain'] as const),
    paint,
    [paint[0] * 0.6, paint[1] * 0.6, paint[2] * 0.6],
    3,
  );
  const roof = plain(tint(random, 0.03, 0.03, [0.3, 0.7], [0.3, 0.6]));
  const pieces = [
    block([x, h / 2, z], [w, h, d], walls, turned),
    block([x, h + 0.9, z], [w * 1.08, 1.8, d * 1.08], roof, turned, 0.25),
  ];
  return pieces.map((piece) => of(CONTEXT.building, piece));
}

function tree(random: Random, x: number, z: number): Piece[] {
  const leaf = tint(random, 0.28, 0.06, [0.4, 0.75], [0.25, 0.5]);
  const leaves = patterned(
    'grain',
    leaf,
    [leaf[0] * 0.45, leaf[1] * 0.5, leaf[2] * 0.45],
    random.between(2, 4),
  );
  const bark = plain(tint(random, 0.07, 0.02, [0.3, 0.5], [0.2, 0.4]));
  const trunk = random.between(1, 2.2);
  const pieces = [tube([x, 0, z], [x, trunk + 0.6, z], 0.2, bark, 0.7)];
  if (random.chance(0.35)) {
    pieces.push(
      tube([x, trunk * 0.5, z], [x, trunk + random.between(2.5, 4), z], random.between(0.9, 1.4), leaves, 0),
    );
  } else {
    for (let i = 0; i < 5; i++) {
      const r = random.between(0.7, 1.3);
      pieces.push(
        ball(
          [x + random.between(-0.8, 0.8), trunk + random.between(0.8, 2.2), z + random.between(-0.8, 0.8)],
          [r, r * 0.9, r],
          leaves,
        ),
      );
    }
  }
  return pieces.map((piece) => of(CONTEXT.tree, piece));
}
