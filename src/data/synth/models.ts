import { cat, dog, horse, sheep } from './animals.ts';
import type { ClassName } from './classes.ts';
import { bottle, chair, diningtable, sofa, tvmonitor } from './furniture.ts';
import { person } from './people.ts';
import type { Piece } from './piece.ts';
import type { Random } from './random.ts';
import { car, pottedplant, train } from './vehicles.ts';

/** How a class is drawn and where it may stand. */
export type Model = {
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

export const MODELS: Record<ClassName, Model> = {
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
