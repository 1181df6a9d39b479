import { expect, test } from 'vitest';
import { expectClose, gradcheck, normals } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { empty, lasting, release, type Tensor } from '../../src/autograd/tensor.ts';
import { withKernelForm, type KernelForm } from '../../src/ops/kernel_form.ts';
import { gemm, linear, type Gemm } from '../../src/ops/matmul.ts';
import { useGpu } from '../support/gpu.ts';
import { linearDefinition } from '../support/linear.ts';

const gpu = useGpu();

const FORMS: KernelForm[] = ['plain', 'panel'];

const SHAPES = [
  [1, 1, 1], [7, 3, 5], [49, 21, 96], [65, 97, 33], [50, 96, 100], [64, 288, 96], [33, 80, 384],
  [130, 4, 260], [37, 64, 36], [52, 40, 96], [196, 64, 132],
] as const;

for (const [m, n, k] of SHAPES) for (const form of FORMS) {
  test(`linear() by ${form} agrees with its definition and its derivatives at ${m} x ${k} -> ${n}`, () =>
    gradcheck(gpu(), (x, w, b) => linear(x!, w!, b!), linearDefinition(m, n, k), [[m, k], [n, k], [n]], {
      around: (body) => withKernelForm(form, body),
    }));
}

test('linear() takes a batch of weights, without bias', () =>
  gradcheck(gpu(), (x, w) => linear(x!, w!, null), linearDefinition(40, 72, 48, 3),
    [[3, 40, 48], [3, 72, 48]]));

test('linear() takes a batch of weights, with bias', () =>
  gradcheck(gpu(), (x, w, b) => linear(x!, w!, b!), linearDefinition(5, 7, 3, 2),
    [[2, 5, 3], [2, 7, 3], [2, 7]]));

test('linear() by panel takes thin sides, of a batch', () =>
  gradcheck(gpu(), (x, w) => linear(x!, w!, null), linearDefinition(41, 8, 100, 3),
    [[3, 41, 100], [3, 8, 100]], { around: (body) => withKernelForm('panel', body) }));

test('linear() gives no gradient to a frozen weight and launches nothing for it', async () => {
  const frozen = lasting(gpu(), 'w', [8, 4]);
  const x = lasting(gpu(), 'x', [3, 4]);
  await evaluate(gpu(), () => {
    const y = linear(x, frozen, null);
    expect(y.requiresGrad).toBe(false);
    return [y];
  });
  release(gpu(), x);
  release(gpu(), frozen);
});

test('linear() names the input whose shape is wrong', () =>
  expect(gradcheck(gpu(), (x, w) => linear(x!, w!, null), () => new Float64Array(6), [[2, 3], [3, 4]]))
    .rejects.toThrow('linear: the last axis of x must be [4], got [3]'));

// every way in which an operand can lie, at a size that the panel form takes on a software device
const LAYOUTS: { name: string; job: Pick<Gemm, 'm' | 'n' | 'k'>; at: number; rows: number }[] = [
  { name: 'aligned', job: { m: 70, n: 96, k: 96 }, at: 0, rows: 0 },
  { name: 'offset by a whole vec4', job: { m: 70, n: 96, k: 96 }, at: 8, rows: 4 },
  { name: 'offset by one element', job: { m: 70, n: 96, k: 96 }, at: 1, rows: 1 },
  { name: 'odd sizes', job: { m: 67, n: 101, k: 53 }, at: 3, rows: 2 },
  { name: 'k past one panel', job: { m: 40, n: 36, k: 300 }, at: 4, rows: 0 },
];

for (const { name, job: { m, n, k }, at, rows } of LAYOUTS) for (const form of FORMS) {
  test(`gemm() by ${form} reads and writes strided matrices in place: ${name}`, async () => {
    const random = normals(3);
    const fill = (length: number): Float32Array => Float32Array.from({ length }, () => random());
    const [rowA, rowB, rowY] = [k + rows, n + rows, n + rows];
    const host = { a: fill(at + m * rowA), b: fill(at + k * rowB), y: fill(at + m * rowY) };
    const tensors = Object.entries(host).map(([label, data]) => lasting(gpu(), label, [data.length], data));
    const [a, b, y0] = tensors as [typeof tensors[0], typeof tensors[0], typeof tensors[0]];
    const [got] = await evaluate(gpu(), () => {
      withKernelForm(form, () => gemm({
        a: { tensor: a, at, row: rowA, col: 1 }, b: { tensor: b, at, row: rowB, col: 1 },
        y: { tensor: y0, at, row: rowY }, m, n, k, scale: 0.5, accumulate: true,
      }));
      return [y0];
    });
    const want = Float64Array.from(host.y);
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        for (let l = 0; l < k; l++) {
          want[at + i * rowY + j]! += 0.5 * host.a[at + i * rowA + l]! * host.b[at + l * rowB + j]!;
        }
      }
    }
    expectClose('y', got!, want, 1e-6);
    for (const tensor of tensors) release(gpu(), tensor);
  });
}

test('gemm() covers more than 65,535 workgroups', async () => {
  const [m, n] = [70_000 * 64 * 4, 1];                     // a thread per 4 rows, 64 threads a workgroup
  const [y] = await evaluate(gpu(), () => {
    const a = lasting(gpu(), 'a', [m], Float32Array.from({ length: m }, (_, i) => i % 251));
    const b = lasting(gpu(), 'b', [1], [2]);
    const out = empty([m], 'y');
    const matrix = (tensor: Tensor) => ({ tensor, row: 1, col: 1 });
    gemm({ a: matrix(a), b: matrix(b), y: matrix(out), m, n, k: 1 });
    return [out];
  });
  expect(y!.findIndex((value, i) => value !== 2 * (i % 251))).toBe(-1);
});
