import { expect, test } from 'vitest';
import { classMap, normalMap, probabilityMap } from '../../../src/train/metrics/postprocess.ts';
import { loadFixture } from '../../support/fixtures.ts';
import { maxDifference } from '../../support/golden_data.ts';

const { tensor } = loadFixture('metrics', 'pascal');
const shapeOf = (name: string) => tensor(name).shape as [number, number, number, number];

test('classMap() takes the largest logit', () => {
  for (const task of ['semseg', 'human_parts']) {
    const name = `b0.logits.${task}`;
    expect([...classMap(tensor(name).data, shapeOf(name))]).toEqual([...tensor(`b0.processed.${task}`).data]);
  }
});

test('classMap() takes the first of equal logits', () => {
  expect([...classMap(Float32Array.of(1, 0, 3, 0, 3, 0), [1, 3, 1, 2])]).toEqual([1, 0]);
});

test('probabilityMap() spreads probabilities over 0 … 255', () => {
  for (const task of ['sal', 'edge']) {
    const got = probabilityMap(tensor(`b0.logits.${task}`).data);
    expect(maxDifference(got, tensor(`b0.processed.${task}`).data)).toBeLessThan(1e-4);
  }
});

test('normalMap() writes unit vectors as colours, channels last', () => {
  const name = 'b0.logits.normals';
  const got = normalMap(tensor(name).data, shapeOf(name));
  expect(maxDifference(got, tensor('b0.processed.normals').data)).toBeLessThan(1e-4);
});
