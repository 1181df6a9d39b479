import { expect, test } from 'vitest';
import { hit, normalAt, type Kind } from '../../../src/data/synth/solid.ts';
import { seededRandom } from '../../../src/data/synth/random.ts';

/** Below 0 inside, 0 on the surface, above 0 outside; the definition of each solid. */
function outside(kind: Kind, taper: number, x: number, y: number, z: number): number {
  const radius = (1 + taper) / 2 + ((taper - 1) / 2) * y;
  switch (kind) {
    case 'ball':
      return Math.hypot(x, y, z) - 1;
    case 'frustum':
      return Math.max(Math.abs(y) - 1, Math.hypot(x, z) - radius);
    case 'block':
      return Math.max(Math.abs(y) - 1, Math.abs(x) - radius, Math.abs(z) - radius);
    case 'capsule':
      return Math.hypot(x, y - Math.max(-taper, Math.min(taper, y)), z) - 1;
  }
}

const SOLIDS: readonly (readonly [Kind, number])[] = [
  ['ball', 0],
  ['frustum', 1],
  ['frustum', 0.4],
  ['frustum', 0],
  ['frustum', 1.4],
  ['block', 1],
  ['block', 0.7],
  ['capsule', 2.5],
];

for (const [kind, taper] of SOLIDS) {
  test(`hit() finds the first point of a ${kind} of taper ${taper}, normalAt() the slope there`, () => {
    const random = seededRandom(7, taper * 10);
    let hits = 0;
    for (let ray = 0; ray < 400; ray++) {
      const o = [0, 1, 2].map(() => random.normal()) as [number, number, number];
      const far = 6 / Math.hypot(...o);
      const [ox, oy, oz] = o.map((value) => value * far) as [number, number, number];
      const [dx, dy, dz] = [ox, oy, oz].map((value) => random.between(-1.5, 1.5) - value) as [
        number,
        number,
        number,
      ];
      const t = hit(kind, taper, ox, oy, oz, dx, dy, dz);
      const valueAt = (s: number): number => outside(kind, taper, ox + s * dx, oy + s * dy, oz + s * dz);
      const before = Array.from({ length: 200 }, (_, i) => valueAt((Math.min(t, 3) * i) / 201));
      expect(Math.min(...before)).toBeGreaterThan(-1e-9); // nothing is met before t
      if (t === Infinity) continue;
      hits += 1;
      expect(Math.abs(valueAt(t))).toBeLessThan(1e-9);

      const [x, y, z] = [ox + t * dx, oy + t * dy, oz + t * dz];
      const h = 1e-6;
      const slope = [
        outside(kind, taper, x + h, y, z) - outside(kind, taper, x - h, y, z),
        outside(kind, taper, x, y + h, z) - outside(kind, taper, x, y - h, z),
        outside(kind, taper, x, y, z + h) - outside(kind, taper, x, y, z - h),
      ];
      const n = normalAt(kind, taper, x, y, z);
      const cosine =
        slope.reduce((sum, value, i) => sum + value * n[i]!, 0) / (Math.hypot(...slope) * Math.hypot(...n));
      expect(cosine).toBeGreaterThan(1 - 1e-6);
    }
    expect(hits).toBeGreaterThan(100);
  });
}
