import { z } from 'zod';
import { resizeCubic, resizeNearest } from '../../data/resample.ts';
import { makeField, type DataTask, type Field, type Sample } from '../../data/sample.ts';
import {
  fixedResize, flip, ignoreRegions, MEAN, normaliseLevels, prepare, scaleRotate, STD, writeImage, writeLabel,
  type Augmentation,
} from '../../data/transforms.ts';
import { parseCase, readGolden, readJson, type Golden } from './golden.ts';
import { compare, compareElements, failure, type Check } from './report.ts';

/**
 * What the README of these files allows: absolute errors, of 255 for images; what is resampled by nearest is
 * exact.
 */
const BOUNDS = { image: 1e-3, normals: 1e-5, depth: 1e-6 };

const STEP = z.strictObject({
  name: z.string(),
  input: z.string(),
  transform: z.enum([
    'RandomHorizontalFlip', 'ScaleNRotate', 'FixedResize', 'AddIgnoreRegions', 'ToTensor', 'Normalize',
    'official val chain', 'official train chain with fixed draws', 'helpers.fixed_resize',
  ]),
  flipped: z.boolean().optional(),
  rot: z.number().optional(),
  scale: z.number().optional(),
  resolution: z.union([z.int(), z.tuple([z.int(), z.int()])]).optional(),
  size: z.int().optional(),
  flagvals: z.record(z.string(), z.int()).optional(),
  mean: z.array(z.number()).optional(),
  std: z.array(z.number()).optional(),
});
type Step = z.infer<typeof STEP>;

const FLAGS = { nearest: 0, cubic: 2 };

/** Holds each transform of `transforms.json` to what it turned its input into. */
export function verifyTransforms(folder: string, path: string): Check[] {
  const golden = readGolden(folder, 'transforms');
  const { steps } = readJson(path) as { steps: unknown[] };
  return steps.flatMap((value) => {
    const step = parseCase(STEP, value, path);
    try {
      expectFlags(step);
      return runStep(step, golden);
    } catch (error) {
      return [failure(`${step.name} runs`, error)];
    }
  });
}

// the release resamples images and normals bicubically, the rest by nearest: nothing else is possible here
function expectFlags({ flagvals = {} }: Step): void {
  for (const [element, flag] of Object.entries(flagvals)) {
    const want = element === 'image' || element === 'normals' ? FLAGS.cubic : FLAGS.nearest;
    if (flag !== want) throw new Error(`"${element}" is resampled by ${want}, the step says ${flag}`);
  }
}

function runStep(step: Step, golden: Golden): Check[] {
  switch (step.transform) {
    case 'RandomHorizontalFlip':
      return checkSample(step, golden, step.flipped === false ? (sample) => sample : flip);
    case 'ScaleNRotate':
      return checkSample(step, golden, (sample) =>
        scaleRotate(sample, given(step, 'rot'), given(step, 'scale')));
    case 'FixedResize':
      return checkSample(step, golden, (sample) => fixedResize(sample, ...resolutionOf(step, sample.image)));
    case 'AddIgnoreRegions': return checkSample(step, golden, ignoreRegions);
    case 'ToTensor': return checkTensors(step, golden, sampleOf(golden, step.input), normalised);
    case 'Normalize': return checkNormalised(step, golden);
    case 'official val chain':
      return checkTensors(step, golden, prepare(sampleOf(golden, step.input), given(step, 'size')));
    case 'official train chain with fixed draws': {
      const augmentation: Augmentation = {
        flip: step.flipped ?? false, degrees: given(step, 'rot'), scale: given(step, 'scale'),
      };
      const prepared = prepare(sampleOf(golden, step.input), given(step, 'size'), augmentation);
      return checkTensors(step, golden, prepared);
    }
    case 'helpers.fixed_resize': return checkResize(step, golden);
  }
}

function given(step: Step, field: 'rot' | 'scale' | 'size'): number {
  const value = step[field];
  if (value === undefined) throw new Error(`a step "${step.transform}" must have a field "${field}"`);
  return value;
}

// one number is the shorter side's
function resolutionOf({ resolution }: Step, { height, width }: Field): [number, number] {
  if (resolution === undefined) throw new Error('a resize must have a field "resolution"');
  if (typeof resolution !== 'number') return resolution;
  const factor = resolution / Math.min(height, width);
  return [Math.round(height * factor), Math.round(width * factor)];
}

/** The elements of `<name>.<element>`, height × width × channels. */
function sampleOf(golden: Golden, name: string): Sample {
  const fields = new Map(golden.below(`${name}.`).map((element) => {
    const stored = `${name}.${element}`;
    const [height, width] = golden.shape(stored) as [number, number];
    return [element, makeField(height, width, golden.values(stored))] as const;
  }));
  const image = fields.get('image') ?? makeField(1, 1, [0, 0, 0]);
  fields.delete('image');
  return { id: name, size: [image.height, image.width], image, labels: fields as Map<DataTask, Field> };
}

function checkSample({ name, input }: Step, golden: Golden, transform: (sample: Sample) => Sample): Check[] {
  const { image, labels } = transform(sampleOf(golden, input));
  return golden.below(`${name}.`).map((element) => {
    const field = element === 'image' ? image : labels.get(element as DataTask);
    if (!field) return failure(`${name} ${element}`, new Error(`the input "${input}" has no such element`));
    return checkElement(`${name} ${element}`, element, field.data, golden.values(`${name}.${element}`));
  });
}

export function checkElement(label: string, element: string, got: Float32Array, want: Float32Array): Check {
  if (element === 'depth') return compare(label, got, want, BOUNDS.depth);
  const bound = element === 'image' ? BOUNDS.image : element === 'normals' ? BOUNDS.normals : 0;
  return compareElements(label, got, want, { bound, share: 1, limit: bound });
}

/**
 * Channels first, the image as grey levels that are normalised; `stored` turns the file's image into that.
 */
function checkTensors(
  { name }: Step, golden: Golden, { image, labels }: Sample, stored = (values: Float32Array) => values,
): Check[] {
  return golden.below(`${name}.`).map((element) => {
    const want = golden.values(`${name}.${element}`);
    if (element === 'image') {
      return checkLevels(`${name} image`, normalisedImage(image), stored(want), image);
    }
    const field = labels.get(element as DataTask);
    if (!field) return failure(`${name} ${element}`, new Error('the input has no such element'));
    const got = new Float32Array(want.length);
    writeLabel(field, got);
    return checkElement(`${name} ${element}`, element, got, want);
  });
}

// equal, but where rounding may have put a value on the other side of a whole grey level, 255 being next to 0
function checkLevels(label: string, got: Float32Array, want: Float32Array, image: Field): Check {
  const area = image.height * image.width;
  const nextLevel = (value: number, i: number): boolean => {
    const channel = Math.floor(i / area);
    const unrounded = image.data[3 * (i % area) + channel]!;
    const levels = 255 * STD[channel]! * Math.abs(value - got[i]!);
    const near = Math.abs(unrounded - Math.round(unrounded)) <= BOUNDS.image;
    return near && Math.abs(levels - (levels > 2 ? 255 : 1)) < 0.01;
  };
  const counted = want.map((value, i) => nextLevel(value, i) ? got[i]! : value);
  return compareElements(label, got, counted, { bound: 1e-6, share: 1, limit: 1e-6 });
}

/** What a model sees of an image under the release's overshoot. */
function normalisedImage(image: Field): Float32Array {
  const levels = new Uint8Array(image.data.length);
  writeImage(image, levels, 'wrap');
  return normaliseLevels(levels);
}

/** The file's image in 0..1 as normalised. */
function normalised(values: Float32Array): Float32Array {
  const area = values.length / 3;
  return values.map((value, i) => {
    const channel = Math.floor(i / area);
    return Math.fround(value - Math.fround(MEAN[channel]!)) / Math.fround(STD[channel]!);
  });
}

function checkNormalised(step: Step, golden: Golden): Check[] {
  for (const [key, ours] of [['mean', MEAN], ['std', STD]] as const) {
    if (step[key]?.join() !== ours.join()) {
      throw new Error(`"${key}" must be [${ours.join(', ')}], got [${step[key]?.join(', ')}]`);
    }
  }
  const [, height, width] = golden.shape(`${step.input}.image`) as [number, number, number];
  const levels = new Float32Array(3 * height * width);
  golden.values(`${step.input}.image`).forEach((value, i) => {
    const [channel, pixel] = [Math.floor(i / (height * width)), i % (height * width)];
    levels[3 * pixel + channel] = Math.round(255 * value);
  });
  return golden.below(`${step.name}.`).map((element) => {
    const label = `${step.name} ${element}`;
    const want = golden.values(`${step.name}.${element}`);
    if (element !== 'image') {
      return checkElement(label, element, golden.values(`${step.input}.${element}`), want);
    }
    const got = normalisedImage(makeField(height, width, levels));
    return compareElements(label, got, want, { bound: 1e-6, share: 1, limit: 1e-6 });
  });
}

// the release's helper takes a picture of nothing but 0 and 1 by nearest
function checkResize(step: Step, golden: Golden): Check[] {
  const [height, width] = golden.shape(step.input) as [number, number];
  const field = makeField(height, width, golden.values(step.input));
  const binary = field.data.every((value) => value === 0 || value === 1);
  const [toHeight, toWidth] = resolutionOf(step, field);
  const { data } = (binary ? resizeNearest : resizeCubic)(field, toHeight, toWidth);
  return [checkElement(`${step.name} map`, binary ? 'mask' : 'image', data, golden.values(step.name))];
}
