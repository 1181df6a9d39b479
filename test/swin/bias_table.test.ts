import { expect, test } from 'vitest';

import { resizeBiasTable } from '../../src/swin/bias_table.ts';

test('resizeBiasTable() leaves a table of the same window as it is', () => {
  const table = Float32Array.from({ length: 9 * 2 }, (_, i) => Math.sin(i));
  expect(resizeBiasTable(table, 2, 9)).toEqual(table);
});

test('resizeBiasTable() keeps a constant, and heads apart', () => {
  const table = Float32Array.from({ length: 49 * 2 }, (_, i) => i % 2 === 0 ? 3 : -1);
  resizeBiasTable(table, 2, 169).forEach((value, i) => expect(value).toBeCloseTo(i % 2 === 0 ? 3 : -1, 6));
});

test('resizeBiasTable() weighs four neighbours with A = -0.75', () => {
  // Side 1 → 3 repeats the border: all nine equal. Side 3 → 1 reads the centre. Side 3 → 5, row 1: centre
  // (1 + 0.5)·3/5 − 0.5 = 0.4, so the weights are those at distances 1.4, 0.4, 0.6, 1.6.
  expect([...resizeBiasTable(Float32Array.of(7), 1, 9)]).toEqual(Array<number>(9).fill(7));
  expect([...resizeBiasTable(Float32Array.of(0, 0, 0, 0, 5, 0, 0, 0, 0), 1, 1)]).toEqual([5]);
  const columns = Float32Array.of(1, 0, 0, 1, 0, 0, 1, 0, 0); // 1 in the first column of [3, 3]
  const near = 1.25 * 0.4 ** 3 - 2.25 * 0.4 ** 2 + 1;
  const border = -0.75 * (1.4 ** 3 - 5 * 1.4 ** 2 + 8 * 1.4 - 4);
  expect(resizeBiasTable(columns, 1, 25)[5 * 2 + 1]).toBeCloseTo(near + border, 6);
});
