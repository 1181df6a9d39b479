import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { lasting, release } from '../../src/autograd/tensor.ts';
import { convTranspose2d } from '../../src/ops/conv_transpose2d.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

type Shape4 = [number, number, number, number];

/** The definition. x [B, H, W, C], w [C, N, kh, kw]. */
function reference([images, h, w, c]: Shape4, [, n, tall, wide]: Shape4) {
  return (...[x, weight]: Float64Array[]): Float64Array =>
    Float64Array.from({ length: images * h * tall * w * wide * n }, (_, at) => {
      const [o, pixel] = [at % n, Math.floor(at / n)];
      const [column, line] = [pixel % (w * wide), Math.floor(pixel / (w * wide))];
      const cell = Math.floor(line / tall) * w + Math.floor(column / wide);
      const tap = line % tall * wide + column % wide;
      return x!.subarray(cell * c, (cell + 1) * c)
        .reduce((sum, v, k) => sum + v * weight![(k * n + o) * tall * wide + tap]!, 0);
    });
}

const CASES: [x: Shape4, w: Shape4][] = [
  [[1, 1, 1, 1], [1, 1, 2, 2]], [[2, 3, 5, 4], [4, 3, 2, 2]], [[1, 7, 2, 28], [28, 32, 2, 2]],
  [[2, 2, 3, 5], [5, 4, 3, 2]],
];
for (const [x, w] of CASES) {
  test(`convTranspose2d() agrees with its definition at [${x.join(', ')}], [${w.join(', ')}]`, () =>
    gradcheck(gpu(), (a, b) => convTranspose2d(a!, b!), reference(x, w), [x, w]));
}

test('convTranspose2d() names what does not fit', async () => {
  const [x, w] = [lasting(gpu(), 'x', [1, 2, 2, 3]), lasting(gpu(), 'w', [4, 3, 2, 2])];
  await expect(evaluate(gpu(), () => [convTranspose2d(x, w)]))
    .rejects.toThrow('convTranspose2d: x must be [1, 2, 2, 4], got [1, 2, 2, 3]');
  for (const tensor of [x, w]) release(gpu(), tensor);
});
