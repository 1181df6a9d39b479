import { expectShape, size } from '../autograd/shape.ts';
import type { Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';

/** Words of u32 that hold `count` bytes. */
export function wordsOf(count: number): number {
  return Math.ceil(count / 4);
}

/**
 * Writes bytes to `y` as numbers.
 *
 * @param words u32 [⌈size of y / 4⌉], four bytes each, the first one lowest
 * @param y any shape, lasting
 */
export function unpackBytes(words: Tensor, y: Tensor): void {
  const count = size(y.shape);
  expectShape('unpackBytes', 'words', words.shape, [wordsOf(count)]);
  const params = { count, area: 1, channels: 1 };
  dispatch('unpack_bytes/numbers', { x: words, y }, { threads: wordsOf(count), params });
}

/**
 * Writes images of grey levels to `y`, each level as its channel's table has it.
 *
 * @param words u32 [⌈size of y / 4⌉], four bytes each, the first one lowest
 * @param table [channels, 256]
 * @param y [B, channels, H, W], lasting
 */
export function unpackLevels(words: Tensor, table: Tensor, y: Tensor): void {
  const [, channels, height, width] = y.shape as [number, number, number, number];
  const count = size(y.shape);
  expectShape('unpackLevels', 'words', words.shape, [wordsOf(count)]);
  expectShape('unpackLevels', 'table', table.shape, [channels, 256]);
  const params = { count, area: height * width, channels };
  dispatch('unpack_bytes/levels', { x: words, table, y }, { threads: wordsOf(count), params });
}
