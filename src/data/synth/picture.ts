import { labelScene, type Labels } from './labels.ts';
import { rasterise, viewOf } from './raster.ts';
import { seededRandom } from './random.ts';
import { makeScene } from './scene.ts';
import { develop, shade } from './shading.ts';

/** A synthetic picture: `data` is 8-bit RGB [height, width, 3]. */
export type SynthPicture = {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
  readonly labels: Labels;
};

/** Below this share of the picture nothing counts as its subject, and another scene is drawn. */
const SMALLEST_SUBJECT = 0.03;
const ATTEMPTS = 50;

/** The picture that `keys` (seed, split, index) stand for, always the same. */
export function drawPicture(width: number, height: number, ...keys: readonly number[]): SynthPicture {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const random = seededRandom(...keys, attempt);
    const scene = makeScene(random, width / height);
    const view = viewOf(scene.camera);
    const map = rasterise(scene.solids, view, 2 * width, 2 * height);
    const labels = labelScene(scene, view, map);
    const largest = Math.max(0, ...labels.things.map(({ area }) => area));
    if (largest < SMALLEST_SUBJECT * width * height) continue;
    return { width, height, data: develop(shade(scene, view, map, random), width, height, random), labels };
  }
  throw new Error(`drawPicture: no scene of ${ATTEMPTS} shows a subject at ${width}x${height}`);
}
