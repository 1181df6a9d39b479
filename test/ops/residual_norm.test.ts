import { expect, test } from 'vitest';
import { gradcheck, type Definition } from '../../src/autograd/gradcheck.ts';
import { backward } from '../../src/autograd/tape.ts';
import { lasting, release, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import { keep, trace } from '../../src/gpu/program.ts';
import { kernelForm, withKernelForm } from '../../src/ops/kernel_form.ts';
import { residualNorm, withNorm } from '../../src/ops/residual_norm.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();
const FACTORS = [0, 1.5, 2, 0.5, 1, 0, 0.25, 3, 1.25, 0.75];

/** (x − mean) / √(var + 1e-5) · w + b of each row of C = w.length. */
function normOf(x: Float64Array, w: Float64Array, b: Float64Array): Float64Array {
  const channels = w.length;
  const y = new Float64Array(x.length);
  for (let at = 0; at < y.length; at += channels) {
    const row = x.subarray(at, at + channels);
    const mean = row.reduce((sum, v) => sum + v, 0) / channels;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / channels;
    row.forEach((v, c) => { y[at + c] = (v - mean) / Math.sqrt(variance + 1e-5) * w[c]! + b[c]!; });
  }
  return y;
}

/** sum = x[g or 0] + factor[g, b] · branch, without x from stream `residualStreams` on; and its norm. */
const definition = (
  streams: number, samples: number, residualStreams: number, masked: boolean,
): Definition => (x, branch, w, b) => {
  const [stream, sample] = [branch!.length / streams, branch!.length / streams / samples];
  const sum = branch!.map((v, i) => {
    const factor = masked ? FACTORS[Math.floor(i / sample)]! : 1;
    return factor * v + (i < residualStreams * stream ? x![i % x!.length]! : 0);
  });
  return [sum, normOf(sum, w!, b!)];
};

// [G, B, ..., C]: a lane without rows, rows past a run, rows in registers, wide ones, ones that no lane fits
const SHAPES = [
  [1, 1, 3, 32], [5, 2, 7, 96], [2, 1, 49, 96], [1, 1, 5, 384], [3, 1, 4, 7], [2, 2, 1, 12],
] as const;

for (const form of ['plain', 'panel', 'tile'] as const) {
  for (const shape of SHAPES) {
    const [streams, samples, rows, channels] = shape;
    const norm = [[channels], [channels]];
    const around = <T>(body: () => T): T => withKernelForm(form, body);
    const name = `[${shape.join(', ')}] in ${form} form`;

    test(`residualNorm() agrees with its definition at ${name}`, async (context) => {
      context.skip(form === 'panel' && kernelForm(gpu()) !== 'panel', 'this device has no panel form');
      const options = { rate: 0, training: true };
      const op = (own: object) => (...[x, branch, w, b, mask]: Tensor[]) => {
        const { x: sum, normed } = residualNorm(x!, branch!, { w: w!, b: b! }, { ...options, mask, ...own });
        return [sum, normed];
      };
      const one = [1, samples, rows, channels];
      const masks = { values: [null, null, null, null, FACTORS], fixed: [4], around };
      const mask = [streams, samples];
      await gradcheck(gpu(), op({}), definition(streams, samples, streams, false),
        [one, shape, ...norm], { around });
      await gradcheck(gpu(), op({}), definition(streams, samples, streams, true),
        [shape, shape, ...norm, mask], masks);
      await gradcheck(gpu(), op({ residualStreams: 'shared' }), definition(streams, samples, 1, true),
        [one, shape, ...norm, mask], masks);
    });

    test(`withNorm() agrees with its definition at ${name}`, (context) => {
      context.skip(form === 'panel' && kernelForm(gpu()) !== 'panel', 'this device has no panel form');
      const op = (...[x, w, b]: Tensor[]) => {
        const both = withNorm(x!, { w: w!, b: b! });
        return [both.x, both.normed];
      };
      return gradcheck(gpu(), op, (x, w, b) => [x!, normOf(x!, w!, b!)], [shape, ...norm], { around });
    });
  }
}

test('residualNorm() brings back its gradients where only one of its outputs is used', () => {
  const [x, w] = [trainable(lasting(gpu(), 'x', [1, 1, 4, 32])), trainable(lasting(gpu(), 'w', [32]))];
  const paths = (used: 'x' | 'normed'): string[] => {
    const { program } = trace(gpu(), 'one', () => {
      const both = residualNorm(x, x, { w, b: w }, { rate: 0, training: true });
      const found = backward([[both[used], both[used]]]);
      keep(found.get(x)!);
    });
    return program.dispatches.map(({ path }) => path).filter((path) => path.startsWith('elementwise'));
  };
  for (const used of ['x', 'normed'] as const) expect(paths(used)).toContain('elementwise/fill');
  for (const tensor of [x, w]) release(gpu(), tensor);
});

test('residualNorm() and withNorm() name a norm that does not fit', () => {
  const [x, w] = [trainable(lasting(gpu(), 'x', [1, 1, 4, 32])), lasting(gpu(), 'w', [31])];
  const traced = (body: () => void) => () => trace(gpu(), 'refused', body);
  expect(traced(() => residualNorm(x, x, { w, b: w }, { rate: 0, training: true })))
    .toThrow('residualNorm: w must be [32], got [31]');
  expect(traced(() => withNorm(x, { w, b: w }))).toThrow('withNorm: w must be [32], got [31]');
  for (const tensor of [x, w]) release(gpu(), tensor);
});
