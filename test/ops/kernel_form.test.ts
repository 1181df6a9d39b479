import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi, type TestContext } from 'vitest';
import { normals } from '../../src/autograd/gradcheck.ts';
import { size } from '../../src/autograd/shape.ts';
import { backward } from '../../src/autograd/tape.ts';
import { lasting, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import { openGpu, type Gpu } from '../../src/gpu/device.ts';
import { compile } from '../../src/gpu/executable.ts';
import type * as Pipelines from '../../src/gpu/pipelines.ts';
import { keep } from '../../src/gpu/program.ts';
import {
  balancedBce, batchnorm, crossEntropy, depthL1, layernorm, linear, normalsL1, resizeBilinear, resizeSum,
  windowAttention,
} from '../../src/ops/index.ts';
import { kernelForm, withKernelForm } from '../../src/ops/kernel_form.ts';
import { resizeTransposed } from '../../src/ops/resize.ts';
import { linearDefinition } from '../support/linear.ts';

/** By this a test breaks a kernel: its text passes through `edit` before a device compiles it. */
const hook = vi.hoisted(() => ({ edit: (_file: string, text: string): string => text }));

vi.mock('../../src/gpu/pipelines.ts', async (original) => {
  const actual = await original<typeof Pipelines>();
  const pipelineOf: typeof actual.pipelineOf = (gpu, dispatch) => {
    const { source } = dispatch;
    const code = hook.edit(source.file, source.code);
    return actual.pipelineOf(gpu, { ...dispatch, source: { ...source, code } });
  };
  return { ...actual, pipelineOf };
});

let cache: string;
const opened: Gpu[] = [];

beforeEach(() => { cache = mkdtempSync(join(tmpdir(), 'mtlora-guard-')); });
afterEach(() => {
  for (const gpu of opened.splice(0)) gpu.close();
  hook.edit = (_, text) => text;
  rmSync(cache, { recursive: true });
});

/** A device whose fast kernels are checked, with what it says of them. */
async function openChecked(folder = cache): Promise<{ gpu: Gpu; lines: string[] }> {
  const lines: string[] = [];
  const gpu = await openGpu({ cache: folder, say: (line) => lines.push(line) });
  opened.push(gpu);
  return { gpu, lines };
}

const [M, N, K] = [70, 64, 96];

/** y = x Wᵀ (+ b) at a size that the panel form takes. @returns its error, and the variant that ran */
async function runLinear(
  gpu: Gpu, biased: boolean,
): Promise<{ error: number; variant: string }> {
  const shapes = [[M, K], [N, K], [N]];
  const values = shapes.map((shape, i) => Float64Array.from({ length: size(shape) }, normals(i)));
  const [x, w, b] = values.map((data, i) => lasting(gpu, 'xwb'[i]!, shapes[i]!, data));
  const { executable, result } = await compile(gpu, 'linear', () => {
    const y = linear(x!, w!, biased ? b! : null);
    keep(y);
    return y;
  });
  executable.run();
  const [bytes] = await executable.read([result]);
  const expected = linearDefinition(M, N, K)(values[0]!, values[1]!, biased ? values[2] : undefined);
  const errors = [...new Float32Array(bytes!)].map((value, i) => Math.abs(value - expected[i]!));
  return { error: Math.max(...errors), variant: executable.commands[0]!.dispatch.variant };
}

const scaled = (factor: string) => (file: string, text: string): string =>
  /matmul_panel.*bias/.test(file) ? text.replaceAll('params.scale', `(params.scale * ${factor})`) : text;

function skipWithoutPanels(context: TestContext, gpu: Gpu): void {
  context.skip(kernelForm(gpu) !== 'panel', 'this device has no panel form');
}

test('guarded() replaces a kernel that computes wrongly, and says so once', async (context) => {
  const { gpu, lines } = await openChecked();
  skipWithoutPanels(context, gpu);
  hook.edit = scaled('1.01');
  for (let i = 0; i < 2; i++) {
    const { error, variant } = await runLinear(gpu, true);
    expect(variant).toBe('matmul');
    expect(error).toBeLessThan(1e-4);
  }
  expect(lines).toEqual([
    expect.stringMatching(/^kernels {4}0 of 1 fast launches agree with their plain forms, in \d+\.\d s$/),
    expect.stringMatching(new RegExp('^kernels {4}warning: matmul \\[1, 70, 96\\] · \\[96, 64\\] by '
      + 'matmul_panel\\(.*bias.*\\)/forward differs by [2-9]\\.\\de-2, 3e-4 at most: '
      + 'its plain form is used instead$')),
  ]);
  const good = await runLinear(gpu, false);
  expect(good.variant).toMatch(/^matmul_panel/);
  expect(lines[2]).toMatch(/1 of 1 fast launches agree/);
});

test('guarded() replaces a kernel whose result is not finite', async (context) => {
  const { gpu, lines } = await openChecked();
  skipWithoutPanels(context, gpu);
  hook.edit = scaled('bitcast<f32>(0x7f800000u + params.zero)');
  expect((await runLinear(gpu, true)).variant).toBe('matmul');
  expect(lines[1]).toMatch(/differs by Infinity, 3e-4 at most: its plain form is used instead$/);
});

test('guarded() replaces a kernel that the driver refuses', async (context) => {
  const { gpu, lines } = await openChecked();
  skipWithoutPanels(context, gpu);
  hook.edit = scaled('nonsense');
  expect((await runLinear(gpu, true)).variant).toBe('matmul');
  expect(lines[1]).toMatch(/cannot be checked \(.*nonsense.*\): its plain form is used instead$/);
  expect(readdirSync(cache)).toEqual([]);                        // it is tried again by the next device
});

for (const [how, factor] of [['computes wrongly', '1.01'], ['is refused', 'nonsense']] as const) {
  test(`guarded() finds the one kernel that ${how} among those tried with it`, async (context) => {
    const { gpu, lines } = await openChecked();
    skipWithoutPanels(context, gpu);
    hook.edit = scaled(factor);
    const draw = normals(7);
    const x = lasting(gpu, 'x', [M, K], Float64Array.from({ length: M * K }, draw));
    const layers = [64, 72, 80, 88, 96, 104].map((n) => ({
      w: lasting(gpu, 'w', [n, K], Float64Array.from({ length: n * K }, draw)),
      b: n === 72 ? lasting(gpu, 'b', [n], Float64Array.from({ length: n }, draw)) : null,
    }));
    const { executable } = await compile(gpu, 'layers', () => {
      keep(...layers.map(({ w, b }) => linear(x, w, b)));
    });
    const variants = executable.commands.map(({ dispatch }) => dispatch.variant.replace(/\(.*/, ''));
    expect(variants).toEqual([0, 1, 2, 3, 4, 5].map((i) => i === 1 ? 'matmul' : 'matmul_panel'));
    expect(lines[0]).toMatch(/5 of 6 fast launches agree/);
    expect(lines[1]).toMatch(/matmul \[1, 70, 96\] · \[96, 72\].*its plain form is used instead$/);
    expect(lines).toHaveLength(2);
  });
}

test('openGpu() keeps verdicts for the next device of the same driver', async (context) => {
  const first = await openChecked();
  skipWithoutPanels(context, first.gpu);
  await runLinear(first.gpu, false);
  expect(first.lines).toHaveLength(1);
  const [file] = readdirSync(cache);
  const text = readFileSync(join(cache, file!), 'utf8');

  const second = await openChecked();
  expect((await runLinear(second.gpu, false)).variant).toMatch(/^matmul_panel/);
  expect(second.lines).toEqual([]);

  writeFileSync(join(cache, file!), text.replaceAll('"agrees": true', '"agrees": false'));
  const third = await openChecked();
  expect((await runLinear(third.gpu, false)).variant).toBe('matmul');
  expect(third.lines).toEqual([expect.stringMatching(/its plain form is used instead$/)]);

  writeFileSync(join(cache, file!), text.replace(/"driver": "/, '"driver": "older '));
  const fourth = await openChecked();
  await runLinear(fourth.gpu, false);
  expect(fourth.lines).toEqual([expect.stringMatching(/1 of 1 fast launches agree/)]);
});

for (const [how, text] of [['cut off', '{"adapter": "x"'], ['of other content', '[1, 2]']] as const) {
  test(`openGpu() says that a file of verdicts is ${how}, and checks anew`, async (context) => {
    const first = await openChecked();
    skipWithoutPanels(context, first.gpu);
    await runLinear(first.gpu, false);
    const file = join(cache, readdirSync(cache)[0]!);
    writeFileSync(file, text);
    const second = await openChecked();
    expect(second.lines).toEqual([
      expect.stringMatching(/^kernels {4}warning: ".*" is left aside and written anew/),
    ]);
    await runLinear(second.gpu, false);
    expect((await openChecked()).lines).toEqual([]);
  });
}

test('openGpu() runs on where verdicts cannot be kept, and says so', async (context) => {
  const blocked = join(cache, 'file');
  writeFileSync(blocked, '');
  const { gpu, lines } = await openChecked(join(blocked, 'folder'));
  skipWithoutPanels(context, gpu);
  expect((await runLinear(gpu, false)).variant).toMatch(/^matmul_panel/);
  expect(lines.find((line) => line.includes('cannot keep what was checked'))).toMatch(/ENOTDIR/);
});

test('guarded() tries the kernels of whole ratios, which suit every device', async () => {
  const { gpu, lines } = await openChecked();
  await compile(gpu, 'resize', () => {
    const [x, base] = [lasting(gpu, 'x', [3, 5, 8]), lasting(gpu, 'base', [12, 20, 8])];
    keep(resizeBilinear(x, 12, 20), resizeSum(base, [x]), ...resizeTransposed([[base, 3, 5]]));
  });
  expect(lines).toEqual([expect.stringMatching(/5 of 5 fast launches agree/)]);
});

test('openGpu() runs only plain kernels where that is asked for', async () => {
  const gpu = await openGpu({ plainKernels: true });
  opened.push(gpu);
  expect((await runLinear(gpu, false)).variant).toBe('matmul');
});

// the inputs of backward passes that only belong together with others
const OPS: Record<string, (given: (shape: number[]) => Tensor) => Tensor> = {
  linear: (given) => linear(given([70, 96]), given([64, 96]), given([64])),
  layernorm: (given) => layernorm(given([65, 64]), given([64]), given([64])),
  windowAttention: (given) =>
    windowAttention(given([1, 14, 7, 288]), given([169, 3]), { heads: 3, windowSize: 7, shift: 3 }),
  ...Object.fromEntries([true, false].map((training) => [
    `batchnorm, ${training ? 'training' : 'evaluating'},`,
    (given: (shape: number[]) => Tensor) => batchnorm(
      given([3500, 8]), given([8]), given([8]), given([8]), given([8]), { training }),
  ])),
  crossEntropy: (given) => crossEntropy(given([1, 50, 70, 21]), given([1, 50, 70])),
  balancedBce: (given) => balancedBce(given([1, 50, 70, 1]), given([1, 50, 70])),
  depthL1: (given) => depthL1(given([1, 50, 70, 1]), given([1, 50, 70])),
  normalsL1: (given) => normalsL1(given([1, 50, 70, 3]), given([1, 3, 50, 70])),
};

for (const form of ['panel', 'tile'] as const) for (const [name, op] of Object.entries(OPS)) {
  test(`guarded() finds that ${name}() by ${form} agrees in both directions`, async (context) => {
    const { gpu, lines } = await openChecked();
    if (form === 'panel') skipWithoutPanels(context, gpu);
    await compile(gpu, name, () => withKernelForm(form, () => {
      const inputs: Tensor[] = [];
      const given = (shape: number[]): Tensor => {
        inputs.push(trainable(lasting(gpu, `input ${inputs.length}`, shape)));
        return inputs.at(-1)!;
      };
      const y = op(given);
      const gradients = backward([[y, lasting(gpu, 'dy', y.shape)]]);
      keep(y, ...inputs.flatMap((input) => gradients.get(input) ?? []));
    }));
    expect(lines).not.toContainEqual(expect.stringContaining('warning'));
    if (form === 'tile') expect(lines).toHaveLength(1);
  });
}
