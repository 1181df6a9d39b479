import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { resizeCubic, resizeNearest } from '../../src/data/resample.ts';
import { channelsOf, fitsBytes, makeField } from '../../src/data/sample.ts';
import type { DataTask, Field, Sample } from '../../src/data/sample.ts';
import * as transforms from '../../src/data/transforms.ts';
import { goldenData, maxDifference } from '../support/golden_data.ts';

type Step = {
  name: string; input: string; transform: string;
  flipped?: boolean; rot?: number; scale?: number; resolution?: number | [number, number]; size?: number;
};
const { steps } = JSON.parse(readFileSync('test/fixtures/data/transforms.json', 'utf8')) as { steps: Step[] };
const golden = goldenData('test/fixtures/data/transforms.safetensors');

/** What a step of the release came from or led to, by its name in the file. */
function goldenSample(name: string): Sample {
  const fields = new Map(golden.under(name).map(([field, tensor]) =>
    [field, makeField(tensor.shape[0]!, tensor.shape[1]!, tensor.data)] as const));
  const image = fields.get('image') ?? makeField(1, 1, [0, 0, 0]);
  fields.delete('image');
  return { id: name, size: [image.height, image.width], image, labels: fields as Map<DataTask, Field> };
}

function run(step: Step, sample: Sample): Sample {
  switch (step.transform) {
    case 'RandomHorizontalFlip': return transforms.flip(sample);
    case 'ScaleNRotate': return transforms.scaleRotate(sample, step.rot!, step.scale!);
    case 'FixedResize': return transforms.fixedResize(sample, ...(step.resolution as [number, number]));
    case 'AddIgnoreRegions': return transforms.ignoreRegions(sample);
    default: throw new Error(`no transform "${step.transform}"`);
  }
}

const local = steps.filter(({ transform }) => /Flip|ScaleN|FixedResize$|Ignore/.test(transform));

describe.each(local)('$transform as $name', (step) => {
  const got = run(step, goldenSample(step.input));
  const want = goldenSample(step.name);
  test.each([...want.labels.keys()])('repeats %s of the release', (task) => {
    const bound = task === 'normals' ? 1e-5 : task === 'depth' ? 1e-6 : 0;
    expect(maxDifference(got.labels.get(task)!.data, want.labels.get(task)!.data)).toBeLessThanOrEqual(bound);
  });
  test('repeats the image of the release', () => {
    expect(maxDifference(got.image.data, want.image.data)).toBeLessThanOrEqual(1e-3);
  });
});

const chains = steps.filter(({ name }) => name.endsWith('chain'));

test.each(chains)('prepare(), writeImage() and writeLabel() repeat $name', (step) => {
  const augmentation = step.rot === undefined ? undefined
    : { flip: step.flipped!, degrees: step.rot, scale: step.scale! };
  const { image, labels } = transforms.prepare(goldenSample(step.input), step.size!, augmentation);
  for (const [field, { data }] of golden.under(step.name)) {
    if (field === 'image') {
      const levels = new Uint8Array(data.length);
      transforms.writeImage(image, levels, 'wrap');
      expect(differentLevels(transforms.normaliseLevels(levels), data)).toBe(0);
    } else {
      const out = new (fitsBytes(field as DataTask) ? Uint8Array : Float32Array)(data.length);
      transforms.writeLabel(labels.get(field as DataTask)!, out);
      expect(out.length).toBe(channelsOf(field as DataTask) * step.size! ** 2);
      const bound = field === 'normals' || field === 'depth' ? 1e-5 : 0;
      expect(maxDifference(out, data)).toBeLessThanOrEqual(bound);
    }
  }
});

/** How many normalised values differ; one that rounding put on the other side of a whole level may. */
function differentLevels(got: Float32Array, want: Float32Array): number {
  return got.filter((value, i) => Math.abs(value - want[i]!) > 1e-6).length;
}

test('scaleRotate() fills maps of classes alone with what counts nowhere, if so wanted', () => {
  const ones = (task: DataTask) => [task, makeField(6, 6, new Float32Array(36).fill(1))] as const;
  const labels = new Map((['semseg', 'human_parts', 'sal', 'depth'] as const).map(ones));
  const sample: Sample = { id: 'a', size: [6, 6], image: makeField(6, 6, new Float32Array(108)), labels };
  const corners = (changed: Sample): number[] => [...changed.labels.values()].map(({ data }) => data[0]!);
  expect(corners(transforms.scaleRotate(sample, 0, 0.5, 'ignore'))).toEqual([255, 255, 0, 0]);
  expect(corners(transforms.scaleRotate(sample, 0, 0.5))).toEqual([0, 0, 0, 0]);
});

test('ignoreRegions() ignores a map of parts that holds background and ignored pixels alone', () => {
  const parts = (...values: number[]): number[] => {
    const labels = new Map([['human_parts', makeField(1, 3, values)] as const]);
    const image = makeField(1, 3, new Float32Array(9));
    const { labels: changed } = transforms.ignoreRegions({ id: 'a', size: [1, 3], image, labels });
    return [...changed.get('human_parts')!.data];
  };
  expect([parts(0, 255, 0), parts(0, 255, 3)]).toEqual([[255, 255, 255], [0, 255, 3]]);
});

test('writeImage() clamps what the bicubic kernel overshoots, or wraps it as the release does', () => {
  const image = makeField(1, 2, [-3.2, 260.4, 128.9, 0, 255, 254.999]);
  const levels = (overshoot: transforms.Overshoot): number[] => {
    const out = new Uint8Array(6);
    transforms.writeImage(image, out, overshoot);
    return [...out];
  };
  expect(levels('clamp')).toEqual([0, 0, 255, 255, 128, 254]);
  expect(levels('wrap')).toEqual([253, 0, 4, 255, 128, 254]);
});

test('drawAugmentation() spans the ranges of the release', () => {
  const { drawAugmentation } = transforms;
  expect(drawAugmentation('pascal', [0.49, 0, 0])).toEqual({ flip: true, degrees: -20, scale: 0.75 });
  expect(drawAugmentation('pascal', [0.5, 0.75, 0.5])).toEqual({ flip: false, degrees: 10, scale: 1 });
  const scales = [0, 0.34, 0.67, 0.999].map((u) => drawAugmentation('nyud', [0, 0.3, u]).scale);
  expect(scales).toEqual([1, 1.2, 1.5, 1.5]);
  expect(drawAugmentation('nyud', [0, 0.3, 0]).degrees).toBe(0);
});

test('resizeCubic() and resizeNearest() give the worked examples', () => {
  const row = makeField(1, 4, [0, 10, 20, 40]);
  expect([...resizeNearest(row, 1, 6).data]).toEqual([0, 0, 10, 20, 20, 40]);
  const six = [-0.8680552, 4.0625, 11.9560188, 17.0022976, 30.9375, 41.7361069];
  expect(maxDifference(resizeCubic(row, 1, 6).data, six)).toBeLessThan(1e-5);
  expect(maxDifference(resizeCubic(row, 1, 3).data, [1.2615746, 14.0625, 37.3032427])).toBeLessThan(1e-5);
  const edge = resizeCubic(makeField(1, 8, [0, 0, 0, 0, 255, 255, 255, 255]), 1, 12).data;
  expect(Math.min(...edge)).toBeCloseTo(-23.9062, 3);
  expect(Math.max(...edge)).toBeCloseTo(278.9062, 3);
});

test('resizeCubic() and resizeNearest() repeat whole pictures of the release', () => {
  const field = (name: string): Field => {
    const { shape, data } = golden.tensor(`helpers.${name}`);
    return makeField(shape[0]!, shape[1]!, data);
  };
  const cubic = resizeCubic(field('input'), 9, 15).data;
  expect(maxDifference(cubic, field('fixed_resize_int9').data)).toBeLessThan(1e-3);
  const nearest = resizeNearest(field('binary_input'), 25, 31).data;
  expect(maxDifference(nearest, field('fixed_resize_binary_25x31').data)).toBe(0);
});
