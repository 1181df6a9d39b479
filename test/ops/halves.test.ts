// Ops on tensors that are stored as f16: what they compute is f32, so they differ by what is rounded.
import { expect, test } from 'vitest';
import { expectClose, gradcheck, normals, type Op } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { size, type Shape } from '../../src/autograd/shape.ts';
import { backward } from '../../src/autograd/tape.ts';
import { lasting, release, trainable, type Dtype, type Tensor } from '../../src/autograd/tensor.ts';
import { batchnorm, batchnormRelu } from '../../src/ops/batchnorm.ts';
import { concat, slice, split } from '../../src/ops/concat.ts';
import { conv2d } from '../../src/ops/conv2d.ts';
import { convTranspose2d } from '../../src/ops/conv_transpose2d.ts';
import { dropout, keepBits } from '../../src/ops/dropout.ts';
import { add, cast, gelu, multiply, relu, scale } from '../../src/ops/elementwise.ts';
import { globalAveragePool } from '../../src/ops/global_average_pool.ts';
import * as ops from '../../src/ops/index.ts';
import { withKernelForm, type KernelForm } from '../../src/ops/kernel_form.ts';
import { layernorm } from '../../src/ops/layernorm.ts';
import { linearEach } from '../../src/ops/linear_each.ts';
import { balancedBce } from '../../src/ops/losses/balanced_bce.ts';
import { crossEntropy } from '../../src/ops/losses/cross_entropy.ts';
import { depthL1 } from '../../src/ops/losses/depth_l1.ts';
import { normalsL1 } from '../../src/ops/losses/normals_l1.ts';
import { linear, linears } from '../../src/ops/matmul.ts';
import { mergeNorm } from '../../src/ops/merge_norm.ts';
import { mergePatches } from '../../src/ops/merge_patches.ts';
import { mtloraLinear } from '../../src/ops/mtlora_linear.ts';
import { patchEmbed } from '../../src/ops/patch_embed.ts';
import { pyramidLinear } from '../../src/ops/pyramid_linear.ts';
import { dropPath, residual } from '../../src/ops/residual.ts';
import { residualNorm, withNorm } from '../../src/ops/residual_norm.ts';
import { resizeBilinear, resizeEach } from '../../src/ops/resize.ts';
import { resizeSum } from '../../src/ops/resize_sum.ts';
import { scaleBy } from '../../src/ops/scale_by.ts';
import { softmax } from '../../src/ops/softmax.ts';
import { windowAttention } from '../../src/ops/window_attention.ts';
import { attentionDefinition } from '../support/attention.ts';
import { useGpu } from '../support/gpu.ts';
import { linearDefinition } from '../support/linear.ts';

const gpu = useGpu();

// an f16 has 11 binary digits: one rounding is off by 2⁻¹² on average, an op makes a few of them
const TOLERANCE = 1e-3;
const training = true;

type Case = {
  readonly op: Op;
  readonly shapes: readonly Shape[];
  /** Inputs that are stored as f16; the others are parameters or labels, f32. */
  readonly halves: readonly number[];
  readonly fixed?: readonly number[];
  readonly values?: (i: number) => number;
};

const running = (): [Tensor, Tensor] =>
  [lasting(gpu(), 'mean', [24]), lasting(gpu(), 'variance', [24], Array(24).fill(2))];
const classes = (i: number): number => i % 5 === 0 ? 255 : i % 3;

const CASES: Readonly<Record<string, Case>> = {
  add: { op: add, shapes: [[3, 7], [3, 7]], halves: [0, 1] },
  multiply: { op: multiply, shapes: [[3, 7], [3, 7]], halves: [0, 1] },
  scale: { op: (x) => scale(x!, 3), shapes: [[257]], halves: [0] },
  scaleBy: { op: (x, factor) => scaleBy(x!, factor!), shapes: [[5, 9], [1]], halves: [0] },
  gelu: { op: gelu, shapes: [[49, 96]], halves: [0] },
  relu: { op: relu, shapes: [[33]], halves: [0] },
  softmax: { op: softmax, shapes: [[5, 21]], halves: [0] },
  dropout: { op: (x) => dropout(x!, 0.3, { training }), shapes: [[130]], halves: [0] },
  dropPath: { op: (x) => dropPath(x!, 0.5, { training }), shapes: [[2, 4, 3, 5]], halves: [0] },
  residual: {
    op: (x, branch) => residual(x!, branch!, { rate: 0.5, training }),
    shapes: [[1, 3, 4, 8], [3, 3, 4, 8]], halves: [0, 1],
  },
  residualNorm: {
    op: (x, branch, w, b) =>
      Object.values(residualNorm(x!, branch!, { w: w!, b: b! }, { rate: 0.5, training })),
    shapes: [[1, 3, 40, 96], [2, 3, 40, 96], [96], [96]], halves: [0, 1],
  },
  withNorm: {
    op: (x, w, b) => Object.values(withNorm(x!, { w: w!, b: b! })),
    shapes: [[1, 70, 96], [96], [96]], halves: [0],
  },
  concat: { op: (a, b) => concat([a!, b!]), shapes: [[5, 3], [5, 4]], halves: [0, 1] },
  slice: { op: (x) => slice(x!, 1, 2, 3), shapes: [[5, 7]], halves: [0] },
  split: { op: (x) => split(x!, 0, [1, 2]), shapes: [[3, 8]], halves: [0] },
  layernorm: { op: (x, w, b) => layernorm(x!, w!, b!), shapes: [[70, 96], [96], [96]], halves: [0] },
  linear: { op: (x, w, b) => linear(x!, w!, b!), shapes: [[50, 300], [64, 300], [64]], halves: [0] },
  'linear of a frozen f16 weight': {
    op: (x, w) => linear(x!, w!, null), shapes: [[65, 100], [40, 100]], halves: [0, 1], fixed: [1],
  },
  linears: {
    op: (...given) => linears(given.slice(0, 2), given.slice(2)),
    shapes: [[50, 300], [2, 20, 40], [64, 300], [2, 21, 40]], halves: [0, 1],
  },
  linearEach: {
    op: (x, ...rest) => linearEach(x!, rest.slice(0, 2), rest.slice(2)),
    shapes: [[2, 20, 32], [3, 32], [5, 32], [3], [5]], halves: [0],
  },
  'mtloraLinear of one stream': {
    op: (x, w, a, bt, bias) => mtloraLinear(x!, keepBits('test', 64 * 96, 0.2),
      { w: w!, a: a!, bt: bt!, bias: bias! }, { ranks: [8, 4, 4], scales: [2, 4, 4] }),
    shapes: [[1, 64, 96], [96, 96], [16, 96], [16, 96], [96]], halves: [0, 1], fixed: [1, 4],
  },
  'mtloraLinear of streams': {
    op: (x, w, a, bt) => mtloraLinear(x!, null, { w: w!, a: a!, bt: bt!, bias: null },
      { ranks: [8, 4, 4], scales: [2, 4, 4], tasksIncludeShared: true }),
    shapes: [[3, 40, 64], [96, 64], [16, 64], [16, 96]], halves: [0, 1], fixed: [1],
  },
  windowAttention: {
    op: (qkv, table) => windowAttention(qkv!, table!, { heads: 3, windowSize: 7, shift: 3 }),
    shapes: [[1, 14, 14, 288], [169, 3]], halves: [0],
  },
  mergeNorm: {
    op: (x, w, b) => mergeNorm(x!, { w: w!, b: b! }), shapes: [[2, 6, 4, 16], [64], [64]], halves: [0],
  },
  mergePatches: { op: mergePatches, shapes: [[1, 2, 4, 6, 8]], halves: [0] },
  patchEmbed: {
    op: (x, w, b) => patchEmbed(x!, w!, b!), shapes: [[2, 3, 16, 16], [32, 3, 4, 4], [32]], halves: [0],
  },
  batchnorm: {
    op: (x, w, b) => batchnorm(x!, w!, b!, ...running(), { training: false }),
    shapes: [[2, 5, 5, 24], [24], [24]], halves: [0],
  },
  batchnormRelu: {
    op: (x, w, b) => batchnormRelu(x!, w!, b!, ...running(), { training }),
    shapes: [[2, 5, 5, 24], [24], [24]], halves: [0],
  },
  resizeEach: { op: (...xs) => resizeEach(xs, 12, 9), shapes: [[2, 6, 6, 5], [3, 3, 4]], halves: [0, 1] },
  resizeBilinear: { op: (x) => resizeBilinear(x!, 12, 9), shapes: [[2, 6, 6, 5]], halves: [0] },
  resizeSum: { op: (x, a, b) => resizeSum(x!, [a!, b!]),
    shapes: [[1, 8, 8, 12], [1, 4, 4, 12], [1, 2, 2, 12]], halves: [0, 1, 2] },
  pyramidLinear: { op: (x, z, w, b) => pyramidLinear([x!, z!], w!, b!),
    shapes: [[2, 8, 8, 12], [2, 4, 4, 20], [36, 32], [36]], halves: [0, 1] },
  conv2d: { op: (x, w, b) => conv2d(x!, w!, b!, { padding: 1 }),
    shapes: [[2, 6, 6, 8], [12, 8, 3, 3], [12]], halves: [0] },
  convTranspose2d: { op: (x, w) => convTranspose2d(x!, w!),
    shapes: [[2, 4, 4, 8], [8, 6, 2, 2]], halves: [0] },
  globalAveragePool: { op: globalAveragePool, shapes: [[2, 6, 6, 8]], halves: [0] },
  crossEntropy: { op: (x, labels) => crossEntropy(x!, labels!), shapes: [[2, 5, 5, 3], [2, 5, 5]],
    halves: [0], fixed: [1], values: classes },
  balancedBce: { op: (x, labels) => balancedBce(x!, labels!), shapes: [[2, 5, 5, 1], [2, 5, 5]],
    halves: [0], fixed: [1], values: (i) => i % 2 },
  normalsL1: { op: (x, labels) => normalsL1(x!, labels!), shapes: [[2, 5, 5, 3], [2, 3, 5, 5]],
    halves: [0], fixed: [1], values: (i) => i % 2 - 0.5 },
  depthL1: { op: (x, labels) => depthL1(x!, labels!), shapes: [[2, 5, 5, 1], [2, 5, 5]],
    halves: [0], fixed: [1], values: (i) => i % 7 },
};

/** Outputs and gradients with the activations of a case stored as `dtype`, out of the same values. */
async function run({ op, shapes, halves, fixed = [], values }: Case, dtype: Dtype, form: KernelForm | null) {
  const random = normals(7);
  const inputs = shapes.map((shape, i) => {
    const data = Array.from({ length: size(shape) },
      (_, k) => Math.f16round(values && fixed.includes(i) ? values(k) : random()));
    const tensor = lasting(gpu(), `input ${i}`, shape, data, halves.includes(i) ? dtype : 'f32');
    return fixed.includes(i) ? tensor : trainable(tensor);
  });
  let found: { names: string[]; dtypes: Dtype[] } = { names: [], dtypes: [] };
  const trace = (): Tensor[] => {
    const ys = [op(...inputs)].flat();
    const seeds = ys.map((y, i) => [y, seedOf(y, i)] as const);
    const gradients = backward(seeds);
    const named = inputs.flatMap((x, i) => {
      const dx = gradients.get(x);
      return dx ? [[`gradient ${i}`, dx] as const] : [];
    });
    const all = [...ys.map((y, i) => [`output ${i}`, y] as const), ...named];
    found = { names: all.map(([name]) => name), dtypes: all.map(([, tensor]) => tensor.dtype) };
    return all.map(([, tensor]) => tensor);
  };
  const read = await evaluate(gpu(), () => form ? withKernelForm(form, trace) : trace(), { seed: 3 });
  for (const tensor of inputs) release(gpu(), tensor);
  return { read, ...found };
}

function seedOf({ shape }: Tensor, i: number): Tensor {
  const random = normals(100 + i);
  const values = Float32Array.from({ length: size(shape) }, () => Math.f16round(random()));
  return lasting(gpu(), 'seed', shape, values);
}

// against the plain form, which compiles fast
async function expectHalvesAgree(each: Case, form: KernelForm | null): Promise<void> {
  const [exact, halved] = [await run(each, 'f32', 'plain'), await run(each, 'f16', form)];
  expect(halved.names).toEqual(exact.names);
  halved.read.forEach((values, i) => expectClose(halved.names[i]!, values, exact.read[i]!, TOLERANCE));
  each.halves.filter((i) => !each.fixed?.includes(i)).forEach((i) =>
    expect(halved.dtypes[halved.names.indexOf(`gradient ${i}`)], `gradient ${i}`).toBe('f16'));
}

// what has no activation for an input, or stores nothing
const OTHERS = ['adamw', 'cast', 'ema', 'gemm', 'gradNorm', 'keepBits', 'reshape', 'sgd', 'uncertaintyTotal',
  'unpackBytes', 'unpackLevels', 'weightedTotal', 'withKernelForm'];

test('every op is held to what it gives of halves', () => {
  const tested = Object.keys(CASES).map((name) => name.split(' ')[0]!);
  expect(Object.keys(ops).filter((name) => ![...tested, ...OTHERS].includes(name))).toEqual([]);
});

for (const [name, each] of Object.entries(CASES)) {
  test(`${name}() of halves differs from that of floats by what is rounded`, () =>
    expectHalvesAgree(each, null));
}

const FORMED = ['linear', 'mtloraLinear of one stream', 'layernorm', 'windowAttention', 'crossEntropy'];
for (const name of FORMED) for (const form of ['plain', 'tile'] as const) {
  test(`${name}() by ${form} of halves differs from that of floats by what is rounded`, () =>
    expectHalvesAgree(CASES[name]!, form));
}

// outputs are rounded once; a directional derivative sums many rounded terms, relative to their norm
const ROUNDED = { tolerance: TOLERANCE, gradTolerance: TOLERANCE };

test('linear() of halves agrees with its definition and its derivatives', () =>
  gradcheck(gpu(), (x, w, b) => linear(x!, w!, b!), linearDefinition(49, 21, 96), [[49, 96], [21, 96], [21]],
    { ...ROUNDED, halves: [0] }));

test('windowAttention() of halves agrees with its definition and its derivatives', () => {
  const form = { heads: 3, windowSize: 7, shift: 3 };
  return gradcheck(gpu(), (qkv, table) => windowAttention(qkv!, table!, form),
    attentionDefinition({ batch: 1, height: 14, width: 14, headDim: 32, ...form }),
    [[1, 14, 14, 288], [169, 3]], { ...ROUNDED, halves: [0] });
});

test('cast() stores the same values otherwise, and takes gradients back', () =>
  gradcheck(gpu(), (x) => cast(cast(x!, 'f16'), 'f32'), (x) => x!, [[3, 7]], ROUNDED));
