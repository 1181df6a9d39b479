import { expect, test } from 'vitest';
import { empty, lasting, release, write, type Tensor } from '../../src/autograd/tensor.ts';
import { findNonFinite } from '../../src/gpu/anomaly.ts';
import { compile } from '../../src/gpu/executable.ts';
import { dispatch, keep, scope } from '../../src/gpu/program.ts';
import { scale } from '../../src/ops/elementwise.ts';
import { useGpu } from '../support/gpu.ts';
import { launchAdd } from '../support/launches.ts';
import { mlpStep } from '../support/mlp_step.ts';

const gpu = useGpu();

test('findNonFinite() finds nothing in a training step, and runs it', async () => {
  const step = await mlpStep(gpu());
  const [before, bytes] = [await step.weights(), gpu().memory.bytes];
  expect(await findNonFinite(gpu(), step.executable, { lr: 0.01 })).toBeNull();
  expect(await step.weights()).not.toEqual(before);
  expect(gpu().memory.bytes).toBe(bytes);
  step.destroy();
});

test('findNonFinite() names what was not finite before the program ran', async () => {
  const step = await mlpStep(gpu());
  const values = new Float32Array(64 * 16);
  values[77] = NaN;
  write(gpu(), step.x, values);
  expect(await findNonFinite(gpu(), step.executable)).toEqual({ label: null, tensor: 'x', index: 77 });
  step.destroy();
});

test('findNonFinite() does not take the gradients of the step before for an input', async () => {
  const step = await mlpStep(gpu());
  write(gpu(), step.x, new Float32Array(64 * 16).fill(3e38));
  await step.run(0);                                             // leaves gradients that are not finite
  const found = await findNonFinite(gpu(), step.executable);
  expect(found!.label).toMatch(/^matmul/);
  step.destroy();
});

test('findNonFinite() names the first launch that overflows, its tensor and element', async () => {
  const x = lasting(gpu(), 'x', [300], new Float32Array(300).fill(1));
  const { executable } = await compile(gpu(), 'step', () => {
    const small = scope('first', () => scale(x, 2));
    const large = scope('second', () => scale(small, 3e38));
    keep(scope('third', () => launchAdd(large, large)));
  });
  expect(await findNonFinite(gpu(), executable))
    .toEqual({ label: 'second elementwise/scale', tensor: 'y', index: 0 });
  write(gpu(), x, new Float32Array(300).fill(1e-3).fill(-1, 299));
  expect(await findNonFinite(gpu(), executable))
    .toEqual({ label: 'second elementwise/scale', tensor: 'y', index: 299 });
  executable.destroy();
  release(gpu(), x);
});

test('findNonFinite() knows what overflows in f16, and what was not finite before', async () => {
  const values = new Float32Array(301).fill(300);
  const x = lasting(gpu(), 'x', [301], values.fill(60000, 300), 'f16');
  const { executable } = await compile(gpu(), 'step', () => keep(scale(x, 2)));
  expect(await findNonFinite(gpu(), executable))
    .toEqual({ label: 'elementwise/scale', tensor: 'y', index: 300 });
  write(gpu(), x, values.fill(1e6, 299));
  expect(await findNonFinite(gpu(), executable)).toEqual({ label: null, tensor: 'x', index: 299 });
  executable.destroy();
  release(gpu(), x);
});

// words that are NaNs as floats; then 1 1 1 and one of those: padding in a tensor of three, or its last value
const TEXTS = {
  words: `@group(0) @binding(0) var<storage, read_write> y: array<u32>;
    @compute @workgroup_size(64) fn forward(@builtin(local_invocation_index) i: u32) { y[i] = 0x7fc00000u; }`,
  three: `@group(0) @binding(0) var<storage, read_write> y: array<f32>;
    @group(0) @binding(1) var<storage, read> x: array<f32>;
    @compute @workgroup_size(4)
    fn forward(@builtin(local_invocation_index) i: u32) { y[i] = select(1.0, x[0], i == 3u); }`,
};

function launch(key: keyof typeof TEXTS, buffers: Record<string, Tensor>): void {
  dispatch(`${key}/forward`, buffers, { workgroups: 1, generated: { key, code: () => TEXTS[key] } });
}

async function anomalyOf(floats: number): Promise<string | null> {
  const { executable } = await compile(gpu(), 'step', () => {
    const [words, partly] = [empty([64], 'words', 'u32'), empty([64], 'partly')];
    const three = empty([floats], 'three');
    launch('words', { y: words });
    launch('three', { x: words, y: three });
    launch('three', { x: three, y: partly });     // lies where the words lay
    keep(three, partly);
  });
  const found = await findNonFinite(gpu(), executable);
  executable.destroy();
  return found && `${found.label} ${found.tensor} ${found.index}`;
}

test('findNonFinite() passes over integers, padding, and what a launch leaves unwritten', async () => {
  expect(await anomalyOf(4)).toBe('three/forward y 3');
  expect(await anomalyOf(3)).toBeNull();
});
