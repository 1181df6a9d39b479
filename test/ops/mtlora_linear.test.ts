import { expect, test } from 'vitest';
import { gradcheck } from '../../src/autograd/gradcheck.ts';
import { backward } from '../../src/autograd/tape.ts';
import { empty, lasting, release, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import { keep, trace } from '../../src/gpu/program.ts';
import { withKernelForm, type KernelForm } from '../../src/ops/kernel_form.ts';
import { mtloraLinear, type MtloraOptions } from '../../src/ops/mtlora_linear.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

type Case = MtloraOptions & {
  name: string; m: number; n: number; k: number;
  /** Whether tasks have inputs of their own, the shared input is dropped, and there is a bias. */
  own: boolean; dropped: boolean; bias: boolean;
};

// a mask that no stride of the layers repeats
const isKept = (i: number): boolean => (i * 2654435761 >>> 7) % 5 !== 0;

function keptBits(count: number): Tensor {
  const bits = new Uint32Array(Math.ceil(count / 32));
  for (let i = 0; i < count; i++) if (isKept(i)) bits[i >>> 5]! |= 1 << (i & 31);
  return lasting(gpu(), 'kept', [bits.length], bits, 'u32');
}

/** The layer's definition in f64; streams [G, m, n], the shared one first. */
function definition({ ranks, scales, m, n, k, own, dropped, tasksIncludeShared }: Case) {
  return (...inputs: Float64Array[]): Float64Array => {
    const [x, w, a, bt] = inputs as [Float64Array, Float64Array, Float64Array, Float64Array];
    const b = inputs[4];
    const v = dropped ? x.subarray(0, m * k).map((value, i) => isKept(i) ? 1.25 * value : 0) : x;
    const y = new Float64Array(ranks.length * m * n);
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) {
        let base = b ? b[column]! : 0;
        for (let i = 0; i < k; i++) base += x[row * k + i]! * w[column * k + i]!;
        let at = 0;
        let shared = 0;
        ranks.forEach((rank, g) => {
          const input = own && g > 0 ? x.subarray(g * m * k) : v;
          let update = 0;
          for (let j = at; j < at + rank; j++) {
            let down = 0;
            for (let i = 0; i < k; i++) down += input[row * k + i]! * a[j * k + i]!;
            update += scales[g]! * down * bt[j * n + column]!;
          }
          at += rank;
          if (g === 0) shared = update;
          y[(g * m + row) * n + column] = base + update + (g > 0 && tasksIncludeShared ? shared : 0);
        });
      }
    }
    return y;
  };
}

// the form of this device, and that of GPUs: for one stream and several, with aligned ranks and others
const TILED = [
  'shared branch at Swin width', 'own inputs, panels', 'unequal ranks, panels',
  'tasks include the shared update, panels',
];
const formsOf = ({ m, name }: Case): KernelForm[] =>
  [m > 32 ? 'panel' : 'plain', ...TILED.includes(name) ? ['tile' as const] : []];

const FLAGS = { own: false, dropped: false, bias: true };
const CASES: Case[] = [
  { name: 'shared branch only', ranks: [3], scales: [2], m: 7, n: 5, k: 4, ...FLAGS },
  { name: 'shared branch at Swin width', ranks: [16], scales: [4], m: 49, n: 96, k: 96, ...FLAGS },
  {
    name: 'dropped input, no bias', ranks: [8, 4, 4], scales: [4, 4, 4], m: 50, n: 96, k: 64,
    own: false, dropped: true, bias: false,
  },
  { name: 'tasks on the shared input', ranks: [3, 2, 1], scales: [0.5, 2, 0.25], m: 5, n: 3, k: 4, ...FLAGS },
  {
    name: 'tasks on their own inputs', ranks: [3, 2, 1, 4], scales: [4, 1, 2, 2], m: 5, n: 7, k: 3,
    ...FLAGS, own: true,
  },
  {
    name: 'own inputs, panels', ranks: [40, 4, 4, 4, 4], scales: [4, 4, 4, 4, 4], m: 65, n: 100, k: 96,
    own: true, dropped: true, bias: true,
  },
  {
    name: 'unequal ranks, panels', ranks: [16, 3, 8], scales: [4, 1, 2], m: 33, n: 96, k: 96,
    ...FLAGS, own: true,
  },
  { name: 'one task, panels', ranks: [16, 4], scales: [4, 2], m: 50, n: 96, k: 64, ...FLAGS, own: true },
  {
    name: 'tasks of rank 8, panels', ranks: [8, 8, 8, 8, 8], scales: [4, 2, 2, 2, 2], m: 37, n: 204, k: 32,
    ...FLAGS, own: true,
  },
  { name: 'no shared branch', ranks: [0, 2, 2], scales: [1, 3, 3], m: 6, n: 8, k: 8, ...FLAGS, own: true },
  {
    name: 'tasks include the shared update', ranks: [3, 2, 2], scales: [2, 1, 1], m: 5, n: 4, k: 6,
    ...FLAGS, own: true, tasksIncludeShared: true,
  },
  {
    name: 'tasks include the shared update, panels', ranks: [8, 4, 4], scales: [2, 1, 1], m: 48, n: 96, k: 96,
    ...FLAGS, dropped: true, tasksIncludeShared: true,
  },
];

for (const each of CASES) for (const form of formsOf(each)) {
  test(`mtloraLinear() by ${form}s agrees with its definition and its derivatives: ${each.name}`, () => {
    const { ranks, m, n, k, own, dropped, bias } = each;
    const rank = ranks.reduce((a, b) => a + b);
    const shapes = [[own ? ranks.length : 1, m, k], [n, k], [rank, k], [rank, n], ...(bias ? [[n]] : [])];
    const keep = dropped ? { bits: keptBits(m * k), factor: 1.25 } : null;
    return gradcheck(gpu(), (x, w, a, bt, b) =>
      mtloraLinear(x!, keep, { w: w!, a: a!, bt: bt!, bias: b ?? null }, each),
    definition(each), shapes, { around: (body) => withKernelForm(form, body) })
      .finally(() => { if (keep) release(gpu(), keep.bits); });
  });
}

test('mtloraLinear() refuses a number of streams that is neither 1 nor that of its branches', () =>
  expect(gradcheck(gpu(), (x, w, a, bt) => {
    const weights = { w: w!, a: a!, bt: bt!, bias: null };
    return mtloraLinear(x!, null, weights, { ranks: [1, 1, 1], scales: [1, 1, 1] });
  }, () => new Float64Array(1), [[2, 3, 4], [5, 4], [3, 4], [3, 5]]))
    .rejects.toThrow('mtloraLinear: x must have 1 or 3 streams, got 2'));

test.each([
  { ranks: [8, 4, 4], scales: [4, 2, 2], n: 96, once: true },
  { ranks: [8, 4], scales: [4, 2], n: 96, once: true },
  { ranks: [8], scales: [4], n: 96, once: false },                   // no stream but the shared one
  { ranks: [8, 4, 8], scales: [4, 2, 2], n: 96, once: false },
  { ranks: [8, 4, 4], scales: [4, 2, 1], n: 96, once: false },
  { ranks: [8, 4, 4], scales: [4, 2, 2], n: 98, once: false },
])('mtloraLinear() of $ranks by $scales to $n reads dy once for sum and products: $once', (each) => {
  const { ranks, n, once } = each;
  const rank = ranks.reduce((a, b) => a + b);
  const paths = withKernelForm('panel', () => trace(gpu(), 'layer', () => {
    const given = (shape: number[]): Tensor => trainable(empty(shape));
    const [x, w] = [given([ranks.length, 40, 64]), empty([n, 64])];
    const [a, bt] = [given([rank, 64]), given([rank, n])];
    const y = mtloraLinear(x, null, { w, a, bt, bias: null }, each);
    const found = backward([[y, empty(y.shape)]]);
    keep(...[x, a, bt].map((tensor) => found.get(tensor)!));
  }).program.dispatches.map(({ path }) => path));
  expect(paths.some((path) => path.includes('stream_sums_panel'))).toBe(once);
});
