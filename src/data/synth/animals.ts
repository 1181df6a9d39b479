import { along, lerp, rotation, type Vec3 } from './affine.ts';
import { hsv, patterned, plain, tint, type Material } from './material.ts';
import { ball, rod, tube, type Piece } from './piece.ts';
import type { Random } from './random.ts';

/** Proportions of a four-legged animal, its front at +x; lengths in metres. */
type Build = {
  readonly legs: number; // from the ground to the body's axis
  readonly body: Vec3; // semi-axes
  readonly limb: number; // a leg's radius
  readonly neck: Vec3; // from the body's front to the head
  readonly neckRadius: number;
  readonly head: Vec3; // semi-axes
  readonly muzzle: number; // length in front of the head
  readonly tail: Vec3; // from the body's rear to its tip
  readonly tailRadius: number;
};

type Coat = { readonly body: Material; readonly legs: Material; readonly face: Material };

const DARK = plain(hsv(0, 0, 0.08), 0.6);

/** Body, walking legs, neck, head with muzzle, eyes and tail; the ears differ and are the caller's. */
function quadruped(random: Random, build: Build, coat: Coat): { pieces: Piece[]; head: Vec3 } {
  const [length, deep, wide] = build.body;
  const hips = build.legs;
  const chest: Vec3 = [length * 0.55, hips + deep * 0.12, 0];
  const rump: Vec3 = [-length * 0.6, hips + deep * 0.05, 0];
  const head = along([length * 0.75, hips + deep * 0.45, 0], build.neck, 1);
  const muzzle: Vec3 = [head[0] + build.head[0] * 0.7 + build.muzzle, head[1] - build.head[1] * 0.35, 0];
  const pieces = [
    ball([0, hips, 0], build.body, coat.body),
    ball(chest, [length * 0.42, deep * 1.02, wide * 0.98], coat.body),
    ball(rump, [length * 0.38, deep * 1.0, wide * 1.0], coat.body),
    rod(
      [length * 0.68, hips + deep * 0.3, 0],
      lerp(head, [length * 0.68, hips + deep * 0.3, 0], 0.15),
      build.neckRadius,
      coat.body,
    ),
    ball(head, build.head, coat.face),
    tube([head[0], head[1] - build.head[1] * 0.2, 0], muzzle, build.head[2] * 0.72, coat.face, 0.7),
    ball(muzzle, [build.head[2] * 0.4, build.head[2] * 0.36, build.head[2] * 0.42], DARK),
  ];
  for (const side of [-1, 1]) {
    pieces.push(
      ball(
        [head[0] + build.head[0] * 0.66, head[1] + build.head[1] * 0.3, side * build.head[2] * 0.62],
        [build.head[0] * 0.16, build.head[1] * 0.2, build.head[2] * 0.2],
        DARK,
      ),
    );
    for (const x of [-length * 0.68, length * 0.62]) {
      const stride = random.between(-0.28, 0.28) * hips;
      const hip: Vec3 = [x, hips - deep * 0.2, side * wide * 0.6];
      const foot: Vec3 = [x + stride, build.limb, side * wide * 0.6];
      const knee = along(lerp(hip, foot, 0.5), [x > 0 ? -0.06 : 0.08, 0, 0], hips);
      pieces.push(rod(hip, knee, build.limb * 1.3, coat.body), rod(knee, foot, build.limb, coat.legs));
      pieces.push(
        ball(
          [foot[0] + build.limb * 0.5, build.limb * 0.8, foot[2]],
          [build.limb * 1.6, build.limb * 0.9, build.limb * 1.2],
          coat.legs,
        ),
      );
    }
  }
  const root: Vec3 = [-length * 0.92, hips + deep * 0.35, 0];
  pieces.push(rod(root, along(root, build.tail, 1), build.tailRadius, coat.body));
  return { pieces, head };
}

/** Slim, round-headed, pointed ears, a long raised tail; ginger, grey or black, often striped. */
export function cat(random: Random): Piece[] {
  const base = random.pick<Vec3>([
    tint(random, 0.08, 0.02, [0.6, 0.85], [0.7, 0.95]),
    hsv(0.6, 0.05, random.between(0.4, 0.6)),
    hsv(0, 0, 0.16),
    hsv(0.1, 0.1, 0.9),
  ]);
  const dark: Vec3 = [base[0] * 0.4, base[1] * 0.35, base[2] * 0.35];
  const coat = random.chance(0.6) ? patterned('stripes', base, dark, random.between(12, 20)) : plain(base);
  const build: Build = {
    legs: 0.34,
    body: [0.36, 0.14, 0.13],
    limb: 0.035,
    neck: [0.12, 0.12, 0],
    neckRadius: 0.08,
    head: [0.13, 0.13, 0.14],
    muzzle: 0.02,
    tail: [-0.16, random.between(0.3, 0.45), random.between(-0.1, 0.1)],
    tailRadius: 0.03,
  };
  const { pieces, head } = quadruped(random, build, {
    body: coat,
    legs: random.chance(0.4) ? plain(hsv(0, 0, 0.9)) : coat,
    face: coat,
  });
  for (const side of [-1, 1]) {
    pieces.push(
      tube(
        [head[0], head[1] + 0.08, side * 0.075],
        [head[0], head[1] + 0.21, side * 0.105],
        0.055,
        coat,
        0.05,
      ),
    );
  }
  return pieces;
}

/** Longer muzzle, hanging ears, sturdier; brown, tan, black or white with patches. */
export function dog(random: Random): Piece[] {
  const base = random.pick<Vec3>([
    tint(random, 0.07, 0.02, [0.5, 0.75], [0.25, 0.5]),
    tint(random, 0.1, 0.01, [0.35, 0.5], [0.7, 0.85]),
    hsv(0.07, 0.2, 0.12),
    hsv(0.1, 0.06, 0.9),
  ]);
  const patch = hsv(0.07, 0.5, random.between(0.15, 0.4));
  const coat = random.chance(0.45) ? patterned('spots', base, patch, random.between(4, 7)) : plain(base);
  const build: Build = {
    legs: 0.48,
    body: [0.44, 0.18, 0.16],
    limb: 0.05,
    neck: [0.18, 0.2, 0],
    neckRadius: 0.11,
    head: [0.16, 0.14, 0.13],
    muzzle: random.between(0.1, 0.18),
    tail: [-0.25, random.between(-0.05, 0.28), 0],
    tailRadius: 0.035,
  };
  const { pieces, head } = quadruped(random, build, { body: coat, legs: coat, face: coat });
  const ear = plain(random.chance(0.5) ? patch : base);
  for (const side of [-1, 1]) {
    pieces.push(
      ball(
        [head[0] - 0.03, head[1] - 0.01, side * 0.135],
        [0.06, 0.14, 0.035],
        ear,
        rotation(0, side * 0.25),
      ),
    );
  }
  return pieces;
}

/** A woolly white ball on thin dark legs. */
export function sheep(random: Random): Piece[] {
  const white = tint(random, 0.11, 0.02, [0.03, 0.14], [0.82, 0.98]);
  const wool = patterned(
    'cloudy',
    white,
    [white[0] * 0.5, white[1] * 0.48, white[2] * 0.44],
    random.between(14, 22),
  );
  const skin = plain(
    random.chance(0.6) ? hsv(0.08, 0.2, 0.18) : tint(random, 0.08, 0.02, [0.15, 0.25], [0.75, 0.85]),
  );
  const build: Build = {
    legs: 0.52,
    body: [0.5, 0.27, 0.26],
    limb: 0.045,
    neck: [0.16, 0.14, 0],
    neckRadius: 0.13,
    head: [0.15, 0.12, 0.11],
    muzzle: 0.09,
    tail: [-0.06, -0.14, 0],
    tailRadius: 0.05,
  };
  const { pieces, head } = quadruped(random, build, { body: wool, legs: skin, face: skin });
  pieces.push(ball([head[0] - 0.08, head[1] + 0.1, 0], [0.12, 0.09, 0.12], wool));
  for (const side of [-1, 1])
    pieces.push(ball([head[0] - 0.06, head[1] + 0.02, side * 0.15], [0.035, 0.04, 0.09], skin));
  return pieces;
}

/** Tall, long-necked, with mane and hanging tail; chestnut, bay, grey or black. */
export function horse(random: Random): Piece[] {
  const base = random.pick<Vec3>([
    tint(random, 0.05, 0.01, [0.65, 0.8], [0.35, 0.55]),
    tint(random, 0.07, 0.01, [0.55, 0.7], [0.25, 0.35]),
    hsv(0.6, 0.04, random.between(0.55, 0.75)),
    hsv(0, 0, 0.13),
  ]);
  const mane = plain(random.chance(0.6) ? hsv(0.07, 0.3, 0.1) : hsv(0.12, 0.4, 0.75));
  const coat = plain(base, 0.3);
  const build: Build = {
    legs: 1.05,
    body: [0.72, 0.33, 0.27],
    limb: 0.065,
    neck: [0.42, 0.55, 0],
    neckRadius: 0.16,
    head: [0.2, 0.16, 0.13],
    muzzle: 0.3,
    tail: [-0.16, -0.6, 0],
    tailRadius: 0.06,
  };
  const { pieces, head } = quadruped(random, build, {
    body: coat,
    legs: random.chance(0.4) ? plain(hsv(0, 0, 0.85)) : coat,
    face: coat,
  });
  const withers: Vec3 = [build.body[0] * 0.5, build.legs + build.body[1] * 0.9, 0];
  for (const t of [0.1, 0.4, 0.7, 0.98]) {
    const at = lerp(withers, [head[0] - 0.12, head[1] + 0.12, 0], t);
    pieces.push(ball(at, [0.1, 0.16, 0.06], mane, rotation(2, -0.6)));
  }
  for (const side of [-1, 1]) {
    pieces.push(
      tube(
        [head[0] - 0.06, head[1] + 0.1, side * 0.07],
        [head[0] - 0.06, head[1] + 0.27, side * 0.09],
        0.05,
        coat,
        0.1,
      ),
    );
  }
  return pieces;
}
