import { expect, test } from 'vitest';
import { gradcheck, type Definition } from '../../src/autograd/gradcheck.ts';
import { lasting, release, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import { trace } from '../../src/gpu/program.ts';
import { reshape } from '../../src/ops/elementwise.ts';
import { kernelForm, withKernelForm } from '../../src/ops/kernel_form.ts';
import { linear } from '../../src/ops/matmul.ts';
import { mergeNorm } from '../../src/ops/merge_norm.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

/** Neighbours (row, column) 00 10 01 11 of x [images, height, width, channels] side by side; their norm. */
const definition = ([images, height, width, channels]: readonly number[]): Definition => (x, w, b) => {
  const y: number[] = [];
  for (let token = 0; token < images! * height! * width! / 4; token++) {
    const line = Math.floor(token / (width! / 2));
    const row = [[0, 0], [1, 0], [0, 1], [1, 1]].flatMap(([down, across]) => {
      const at = ((2 * line + down!) * width! + token % (width! / 2) * 2 + across!) * channels!;
      return [...x!.subarray(at, at + channels!)];
    });
    const mean = row.reduce((sum, v) => sum + v, 0) / row.length;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length;
    y.push(...row.map((v, c) => (v - mean) / Math.sqrt(variance + 1e-5) * w![c]! + b![c]!));
  }
  return Float64Array.from(y);
};

// rows in registers, wide ones, ones that no lane fits; several images, lines and runs
const SHAPES = [[1, 2, 2, 8], [2, 4, 6, 24], [3, 14, 14, 16], [2, 6, 4, 96], [1, 4, 4, 3]];

for (const form of ['plain', 'panel', 'tile'] as const) {
  for (const shape of SHAPES) {
    test(`mergeNorm() agrees with its definition in ${form} form at [${shape.join(', ')}]`, (context) => {
      context.skip(form === 'panel' && kernelForm(gpu()) !== 'panel', 'this device has no panel form');
      const wide = 4 * shape.at(-1)!;
      return gradcheck(gpu(), (x, w, b) => mergeNorm(x!, { w: w!, b: b! }), definition(shape),
        [shape, [wide], [wide]], { around: (body) => withKernelForm(form, body) });
    });
  }
}

test('mergeNorm() hands itself over to the layer after it, whose weight gets its gradient', () => {
  const op = (...[x, w, b, out]: Tensor[]): Tensor =>
    linear(reshape(mergeNorm(x!, { w: w!, b: b! }), [6, 32]), out!, null);
  const norm = definition([1, 4, 6, 8]);
  return gradcheck(gpu(), op, (x, w, b, out) => {
    const rows = norm(x!, w!, b!) as Float64Array;
    return Float64Array.from({ length: 18 }, (_, i) => out!.subarray(i % 3 * 32, i % 3 * 32 + 32)
      .reduce((sum, v, k) => sum + v * rows[Math.floor(i / 3) * 32 + k]!, 0));
  }, [[1, 4, 6, 8], [32], [32], [3, 32]]);
});

test('mergeNorm() refuses odd sides and a norm of another width', () => {
  const [x, w] = [trainable(lasting(gpu(), 'x', [1, 7, 4, 8])), lasting(gpu(), 'w', [8])];
  const traced = (shaped: Tensor) => () => trace(gpu(), 'refused', () => mergeNorm(shaped, { w, b: w }));
  expect(traced(x)).toThrow('mergeNorm: H and W must be even, got [7, 4]');
  expect(traced({ ...x, shape: [1, 4, 2, 28] })).toThrow('mergeNorm: w must be [112], got [8]');
  for (const tensor of [x, w]) release(gpu(), tensor);
});
