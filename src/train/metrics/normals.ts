// Surface normals: the angle between prediction and label, in degrees, over all valid pixels of the data set.
//
//   angle     acos(clamp(n · label, −1, 1))             n = output / max(‖output‖, 1e-12), label as it is
//   angle v2  2 atan2(‖a − b‖, ‖a + b‖)                 a, b: both as unit vectors
import { expectBatch, IGNORE } from './meter.ts';
import type { Batch, Meter, Scores } from './meter.ts';

const MIN_NORM = 1e-12;
const DEGREES = 180 / Math.PI;

/** Between the unit vector [a, b, c] and the direction of [u, v, w]. */
function angleV2(a: number, b: number, c: number, u: number, v: number, w: number): number {
  const size = Math.max(Math.sqrt(u * u + v * v + w * w), MIN_NORM);
  const apart = Math.sqrt((a - u / size) ** 2 + (b - v / size) ** 2 + (c - w / size) ** 2);
  const along = Math.sqrt((a + u / size) ** 2 + (b + v / size) ** 2 + (c + w / size) ** 2);
  return 2 * DEGREES * Math.atan2(apart, along);
}

/** `official`: what the release reports, where `rmse` is a copy of the mean. */
export function normalsMeter({ official = false } = {}): Meter {
  let [valid, sum, squares, sumV2, below11, below22, below30] = [0, 0, 0, 0, 0, 0, 0];

  function add(x: number, y: number, z: number, u: number, v: number, w: number): void {
    const length = Math.max(Math.sqrt(x * x + y * y + z * z), MIN_NORM);
    const a = x / length;
    const b = y / length;
    const c = z / length;
    const dot = a * u + b * v + c * w;
    const angle = DEGREES * Math.acos(Math.min(Math.max(dot, -1), 1));
    valid++;
    sum += angle;
    squares += angle * angle;
    if (angle < 11.25) below11++;
    if (angle < 22.5) below22++;
    if (angle < 30) below30++;
    if (official) sumV2 += angleV2(a, b, c, u, v, w);
  }

  function update(batch: Batch): void {
    expectBatch('normalsMeter', batch, 3, 3);
    const { logits, labels, shape: [images, , height, width] } = batch;
    const pixels = height * width;
    for (let image = 0; image < images; image++) {
      const start = image * 3 * pixels;
      for (let i = start; i < start + pixels; i++) {
        if (labels[i] === IGNORE) continue;
        const j = i + pixels;
        const k = j + pixels;
        add(logits[i]!, logits[j]!, logits[k]!, labels[i]!, labels[j]!, labels[k]!);
      }
    }
  }

  function scores(): Scores {
    const mean = sum / valid;
    if (official) return { mean, rmse: mean, mean_v2: sumV2 / valid, rmse_v2: sumV2 / valid };
    return {
      mean,
      rmse: Math.sqrt(squares / valid),
      within_11: 100 * below11 / valid,
      within_22: 100 * below22 / valid,
      within_30: 100 * below30 / valid,
    };
  }
  return { update, scores };
}
