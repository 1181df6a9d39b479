import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { empty, type Tensor } from '../../src/autograd/tensor.ts';
import { kernelForm, withKernelForm } from '../../src/ops/kernel_form.ts';
import { windowAttention } from '../../src/ops/window_attention.ts';
import { attentionDefinition, type AttentionCase } from '../support/attention.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

function shapesOf({ batch, height, width, heads, headDim, windowSize }: AttentionCase): number[][] {
  return [[batch, height, width, 3 * heads * headDim], [(2 * windowSize - 1) ** 2, heads]];
}

const PLAIN: AttentionCase[] = [
  { batch: 1, height: 1, width: 1, heads: 1, headDim: 1, windowSize: 1, shift: 0 },
  { batch: 2, height: 2, width: 6, heads: 3, headDim: 5, windowSize: 2, shift: 1 },
  { batch: 1, height: 6, width: 9, heads: 2, headDim: 8, windowSize: 3, shift: 2 },
  { batch: 3, height: 8, width: 4, heads: 2, headDim: 4, windowSize: 4, shift: 2 },
  { batch: 1, height: 24, width: 12, heads: 1, headDim: 4, windowSize: 12, shift: 6 },
  { batch: 37, height: 4, width: 2, heads: 1, headDim: 2, windowSize: 2, shift: 1 },
  { batch: 1, height: 14, width: 7, heads: 3, headDim: 32, windowSize: 7, shift: 0 },
  { batch: 2, height: 14, width: 21, heads: 2, headDim: 32, windowSize: 7, shift: 3 },
];
// head dims of a multiple of 32; windows of fewer keys than lanes, of whole lanes, of one lane more
const PANEL: AttentionCase[] = [
  { batch: 19, height: 2, width: 2, heads: 2, headDim: 32, windowSize: 2, shift: 0 },
  { batch: 1, height: 8, width: 16, heads: 1, headDim: 32, windowSize: 8, shift: 4 },
  { batch: 1, height: 6, width: 3, heads: 2, headDim: 64, windowSize: 3, shift: 1 },
  { batch: 1, height: 14, width: 7, heads: 3, headDim: 32, windowSize: 7, shift: 0 },
  { batch: 2, height: 14, width: 21, heads: 2, headDim: 32, windowSize: 7, shift: 3 },
];
// head dims of single floats and of vectors; windows of one tile and of several, alone and in runs
const TILE: AttentionCase[] = [
  { batch: 2, height: 2, width: 6, heads: 3, headDim: 5, windowSize: 2, shift: 1 },
  { batch: 1, height: 24, width: 12, heads: 1, headDim: 8, windowSize: 12, shift: 6 },
  { batch: 1, height: 3, width: 3, heads: 2, headDim: 64, windowSize: 3, shift: 0 },
  { batch: 2, height: 14, width: 21, heads: 2, headDim: 32, windowSize: 7, shift: 3 },
  { batch: 600, height: 2, width: 4, heads: 2, headDim: 4, windowSize: 2, shift: 1 },
];

for (const [form, cases] of [['plain', PLAIN], ['panel', PANEL], ['tile', TILE]] as const) {
  for (const of of cases) {
    const { batch, height, width, heads, headDim, windowSize, shift } = of;
    const map = `[${batch}, ${height}, ${width}]`;
    const sizes = `${map}, ${heads} × ${headDim}, window ${windowSize}, shift ${shift}`;
    test(`windowAttention() agrees with its definition in ${form} form at ${sizes}`, (context) => {
      context.skip(form === 'panel' && kernelForm(gpu()) !== 'panel', 'this device has no panel form');
      const op = (...[qkv, table]: Tensor[]) => withKernelForm(form, () => windowAttention(qkv!, table!, of));
      return gradcheck(gpu(), op, attentionDefinition(of), shapesOf(of), {
        around: (body) => withKernelForm(form, body),
      });
    });
  }
}

test('windowAttention() takes leading axes and a frozen table', () => {
  const of = { batch: 6, height: 4, width: 4, heads: 2, headDim: 4, windowSize: 2, shift: 1 };
  return gradcheck(gpu(), (qkv, table) => windowAttention(qkv!, table!, of), attentionDefinition(of),
    [[3, 2, 4, 4, 24], [9, 2]], { fixed: [1] });
});

test('windowAttention() names what does not fit', async () => {
  const trace = (shape: number[], table: number[], windowSize: number, shift = 0) =>
    evaluate(gpu(), () => [windowAttention(empty(shape), empty(table), { heads: 2, windowSize, shift })]);
  await expect(trace([1, 14, 16, 12], [225, 2], 8)).rejects.toThrow(
    'windowAttention: H = 14 must be a multiple of windowSize = 8');
  await expect(trace([1, 8, 8, 13], [225, 2], 8)).rejects.toThrow(
    "windowAttention: qkv's last axis must be a multiple of 3 · 2 heads, got 13");
  await expect(trace([1, 8, 8, 12], [225, 3], 8)).rejects.toThrow(
    'windowAttention: biasTable must be [225, 2], got [225, 3]');
  await expect(trace([1, 8, 8, 12], [49, 2], 4, 4)).rejects.toThrow(
    'windowAttention: shift must be from 0 to 3, got 4');
});
