import { expect, test } from 'vitest';
import { positionIndex, shiftMask } from '../../src/swin/window_buffers.ts';
import { loadFixture } from '../support/fixtures.ts';

const golden = loadFixture('blocks', 'tables');

test.each([1, 2, 3, 4, 7, 8])('positionIndex() is the release\'s index of a window of %i', (window) => {
  const { shape, data } = golden.tensor(`relative_position_index.w${window}`);
  expect(shape).toEqual([window ** 2, window ** 2]);
  expect(Float32Array.from(positionIndex(window), Number)).toEqual(data);
});

test.each([[8, 8, 4, 2], [14, 14, 7, 3], [6, 9, 3, 1], [8, 12, 4, 2], [4, 4, 2, 1]])(
  'shiftMask() is the release\'s mask of a %i × %i grid', (height, width, window, shift) => {
    const { data } = golden.tensor(`attn_mask.r${height}x${width}_w${window}_s${shift}`);
    expect(shiftMask(height, window, shift, width)).toEqual(data);
  });
