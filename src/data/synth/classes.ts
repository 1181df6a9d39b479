/** Where a model may stand. */
export type Setting = 'indoor' | 'outdoor';

export type SynthClass = {
  readonly name: string;
  /** Number among the 21 PASCAL VOC classes. */
  readonly voc: number;
  /** Number among the 459 PASCAL-Context classes. */
  readonly context: number;
  readonly settings: readonly Setting[];
};

const both: readonly Setting[] = ['indoor', 'outdoor'];

/** Every class of things that the generator draws. */
export const SYNTH_CLASSES = {
  bottle: { name: 'bottle', voc: 5, context: 34, settings: both },
  car: { name: 'car', voc: 7, context: 59, settings: ['outdoor'] },
  cat: { name: 'cat', voc: 8, context: 65, settings: both },
  chair: { name: 'chair', voc: 9, context: 72, settings: ['indoor'] },
  diningtable: { name: 'diningtable', voc: 11, context: 397, settings: ['indoor'] },
  dog: { name: 'dog', voc: 12, context: 113, settings: both },
  horse: { name: 'horse', voc: 13, context: 207, settings: ['outdoor'] },
  person: { name: 'person', voc: 15, context: 284, settings: both },
  pottedplant: { name: 'pottedplant', voc: 16, context: 308, settings: both },
  sheep: { name: 'sheep', voc: 17, context: 347, settings: ['outdoor'] },
  sofa: { name: 'sofa', voc: 18, context: 368, settings: ['indoor'] },
  train: { name: 'train', voc: 19, context: 416, settings: ['outdoor'] },
  tvmonitor: { name: 'tvmonitor', voc: 20, context: 427, settings: ['indoor'] },
} as const satisfies Record<string, SynthClass>;

export type ClassName = keyof typeof SYNTH_CLASSES;

/** PASCAL-Context numbers of what stands behind the things; in VOC each of them is background. */
export const CONTEXT = {
  building: 44,
  ceiling: 68,
  door: 115,
  floor: 158,
  grass: 187,
  ground: 189,
  road: 324,
  shelves: 349,
  sky: 360,
  track: 415,
  tree: 420,
  wall: 440,
  window: 454,
  box: 37,
  ball: 10,
} as const;
