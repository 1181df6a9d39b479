import fc from 'fast-check';
import { expect, test } from 'vitest';
import { classEdges, thin } from '../../src/data/thinning.ts';

/** Rows of '.' and '#'. */
function mask(...rows: string[]): [mask: Uint8Array, height: number, width: number] {
  return [Uint8Array.from(rows.join(''), (mark) => (mark === '#' ? 1 : 0)), rows.length, rows[0]!.length];
}

test('classEdges() marks both sides of a border between classes, and nothing at the rim', () => {
  const classes = [
    3, 3, 7, 7,
    3, 3, 7, 7,
    3, 3, 3, 3,
  ];
  expect([...classEdges(classes, 3, 4)]).toEqual([
    0, 1, 1, 0,
    0, 1, 1, 1,
    0, 0, 1, 1,
  ]);
  expect([...classEdges([1, 2], 1, 2)]).toEqual([1, 1]);
});

test('thin() leaves the middle line of a bar and keeps single pixels', () => {
  const bar = mask(
    '.........',
    '.#######.',
    '.#######.',
    '.#######.',
    '.........',
    '........#');
  const thinned = thin(...bar);
  expect([...thinned].flatMap((on, i) => (on ? [i] : []))).toEqual([20, 21, 22, 23, 24, 53]);
});

test('thin() changes nothing the second time and joins what was joined', () => {
  fc.assert(fc.property(fc.array(fc.constantFrom(0, 1), { minLength: 80, maxLength: 80 }), (pixels) => {
    const once = thin(Uint8Array.from(pixels), 8, 10);
    expect(thin(once, 8, 10)).toEqual(once);
    expect(once.every((on, i) => on <= pixels[i]!)).toBe(true);
    expect(components(once, 8, 10)).toBe(components(Uint8Array.from(pixels), 8, 10));
  }), { seed: 3, numRuns: 200 });
});

/** The number of groups of pixels that touch at a side or a corner. */
function components(pixels: Uint8Array, height: number, width: number): number {
  const left = pixels.slice();
  let count = 0;
  for (let start = left.indexOf(1); start >= 0; start = left.indexOf(1)) {
    count++;
    for (const todo = [start]; todo.length > 0;) {
      const i = todo.pop()!;
      left[i] = 0;
      const [x, y] = [i % width, Math.floor(i / width)];
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) {
          if (left[ny * width + nx]) todo.push(ny * width + nx);
        }
      }
    }
  }
  return count;
}
