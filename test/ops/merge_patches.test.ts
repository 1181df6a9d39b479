import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { empty, lasting, release } from '../../src/autograd/tensor.ts';
import { mergePatches } from '../../src/ops/merge_patches.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

/** The definition. x [images, height, width, channels] */
function reference([images, height, width, channels]: number[]) {
  return (x: Float64Array): Float64Array => {
    const y: number[] = [];
    for (let n = 0; n < images!; n++) {
      for (let row = 0; row < height!; row += 2) {
        for (let column = 0; column < width!; column += 2) {
          for (const [down, across] of [[0, 0], [1, 0], [0, 1], [1, 1]] as const) {
            const at = ((n * height! + row + down) * width! + column + across) * channels!;
            y.push(...x.subarray(at, at + channels!));
          }
        }
      }
    }
    return Float64Array.from(y);
  };
}

for (const shape of [[1, 2, 2, 1], [2, 6, 4, 8], [3, 4, 10, 7], [1, 14, 14, 96]]) {
  test(`mergePatches() agrees with its definition and its derivative at [${shape.join(', ')}]`, () =>
    gradcheck(gpu(), (x) => mergePatches(x!), (x) => reference(shape)(x!), [shape]));
}

test('mergePatches() takes leading axes', () =>
  gradcheck(gpu(), (x) => mergePatches(x!), (x) => reference([6, 4, 2, 3])(x!), [[3, 2, 4, 2, 3]]));

test('mergePatches() reads rows before columns', async () => {
  const x = lasting(gpu(), 'x', [1, 2, 2, 1], [1, 2, 3, 4]);
  const [y] = await evaluate(gpu(), () => [mergePatches(x)]);
  release(gpu(), x);
  expect([...y!]).toEqual([1, 3, 2, 4]);
});

test('mergePatches() refuses odd sides', () =>
  expect(evaluate(gpu(), () => [mergePatches(empty([1, 7, 4, 3]))])).rejects.toThrow(
    'mergePatches: H and W must be even, got [7, 4]'));
