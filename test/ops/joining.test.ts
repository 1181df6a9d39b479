import { expect, test } from 'vitest';
import { evaluate } from '../../src/autograd/run.ts';
import { empty, lasting, write, type Tensor } from '../../src/autograd/tensor.ts';
import { joining, type JoiningOptions } from '../../src/ops/joining.ts';
import { dispatch, trace, tracing, type Dispatch } from '../../src/gpu/program.ts';
import { gemm, type Gemm } from '../../src/ops/matmul.ts';
import { kernelForm, withKernelForm } from '../../src/ops/kernel_form.ts';
import { launchAdd } from '../support/launches.ts';
import { useGpu } from '../support/gpu.ts';
import { seeded } from '../support/seeded.ts';

const gpu = useGpu();

function given(name: string, shape: readonly number[], seed: number): Tensor {
  const tensor = lasting(gpu(), name, shape);
  const draw = seeded(seed);
  const count = shape.reduce((a, b) => a * b, 1);
  write(gpu(), tensor, Float32Array.from({ length: count }, () => draw(2001) / 1000 - 1));
  return tensor;
}

const launchesOf = (bodies: readonly (() => void)[], options: JoiningOptions = {}): Dispatch[] =>
  trace(gpu(), 'joined', () => joining(bodies, options)).program.dispatches;

/** y = a bᵀ of a [m, k] and b [n, k]. */
function product(a: Tensor, b: Tensor, y: Tensor): Gemm {
  const [[m, k], [n]] = [a.shape, b.shape] as [[number, number], [number, number]];
  return {
    a: { tensor: a, row: k, col: 1 }, b: { tensor: b, row: 1, col: k }, y: { tensor: y, row: n }, m, n, k,
  };
}

test('joining() has one launch do what several did, to the bit', async () => {
  // two of one variant, one of another, one of another kernel, none of which fills its workgroups evenly
  const [x, z] = [given('x', [65, 24], 1), given('z', [33, 40], 2)];
  const [v, w, u] = [given('v', [21, 24], 3), given('w', [131, 24], 4), given('u', [7, 40], 5)];
  const run = async (join: boolean): Promise<Float32Array[]> => evaluate(gpu(), () => {
    const jobs = [[x, v], [x, w], [z, u]].map(([a, b]) =>
      product(a!, b!, empty([a!.shape[0]!, b!.shape[0]!], 'product')));
    const sum = empty(x.shape, 'sum');
    const bodies = [...jobs.map((job) => (): void => gemm(job)), () => void launchAdd(x, x, sum)];
    withKernelForm('plain', () => {
      if (join) joining(bodies);
      else for (const body of bodies) body();
    });
    return [...jobs.map(({ y }) => y.tensor), sum];
  });
  const [together, apart] = [await run(true), await run(false)];
  together.forEach((values, i) => expect(values).toEqual(apart[i]));
  expect(together.every((values) => values.some((value) => value !== 0))).toBe(true);
});

test('joining() lets a masked product stand for one without a mask, to the bit', async (context) => {
  context.skip(kernelForm(gpu()) !== 'panel', 'this device has no panel form');
  // gradients of A and Bᵀ: [64, M] · [M, 96], of which one sees what dropout kept
  const shapes = [[70, 64], [70, 96], [70, 64], [70, 128]];
  const [p, x, dp, dy] = shapes.map((shape, i) => given('factor', shape, i));
  const bits = lasting(gpu(), 'bits', [70 * 96 / 32], undefined, 'u32');
  const draw = seeded(9);
  write(gpu(), bits, Uint32Array.from({ length: 70 * 96 / 32 }, () => draw(2 ** 32)));
  const run = async (join: boolean): Promise<Float32Array[]> => evaluate(gpu(), () => {
    const [da, db] = [empty([64, 96], 'da'), empty([64, 128], 'db')];
    const common = { m: 64, k: 70 };
    const left = (tensor: Tensor) => ({ tensor, row: 1, col: 64 });
    const jobs: Gemm[] = [
      { ...common, a: left(dp!), b: { tensor: x!, row: 96, col: 1 }, y: { tensor: da, row: 96 }, n: 96,
        mask: { bits, on: 'b', row: 96 } },
      { ...common, a: left(p!), b: { tensor: dy!, row: 128, col: 1 }, y: { tensor: db, row: 128 }, n: 128 },
    ];
    const bodies = jobs.map((job) => (): void => gemm(job));
    if (!join) for (const body of bodies) body();
    else {
      const { dispatches } = tracing('test');
      joining(bodies);
      expect(dispatches).toHaveLength(1);
      expect(dispatches[0]!.source.code.match(/fn forward_\d/g)).toHaveLength(1);
    }
    return [da, db];
  });
  const [together, apart] = [await run(true), await run(false)];
  expect(together).toEqual(apart);
  // nothing is dropped of what has no mask
  const kept = await evaluate(gpu(), () => {
    const db = empty([64, 128], 'db');
    withKernelForm('plain', () => gemm({
      a: { tensor: p!, row: 1, col: 64 }, b: { tensor: dy!, row: 128, col: 1 }, y: { tensor: db, row: 128 },
      m: 64, n: 128, k: 70,
    }));
    return [db];
  });
  const errors = kept[0]!.map((value, i) => Math.abs(value - together[1]![i]!));
  expect(Math.max(...errors)).toBeLessThan(1e-5);          // sums of 70 products of at most 1
});

test('joining() writes a kernel once for all launches of it, and lists buffers once', () => {
  const [x, v, w] = [given('x', [8, 8], 1), given('v', [8, 8], 2), given('w', [8, 8], 3)];
  const [joined, ...more] = launchesOf([v, w].map((b) => () => void launchAdd(x, b)));
  expect(more).toEqual([]);
  expect(joined!.source.code.match(/fn add_\d/g)).toHaveLength(1);
  expect(joined!.uses.filter(({ storage }) => storage === x.storage)).toHaveLength(1);
  expect(joined!.uses).toHaveLength(5);
  expect(joined!.path).toBe('elementwise/add');
});

test('joining() keeps the order of launches of which one needs the other', () => {
  const [x, y, z] = [given('x', [16], 1), given('y', [16], 2), given('z', [16], 3)];
  const later = launchesOf([() => void launchAdd(x, x, y), () => void launchAdd(y, x, z)]);
  expect(later.map(({ entry }) => entry)).toEqual(['add', 'add']);
  const overwritten = launchesOf([() => void launchAdd(y, x, z), () => void launchAdd(x, x, y)]);
  expect(overwritten).toHaveLength(2);
  // a third that waits for the first alone goes with the second
  const [first, second] = launchesOf([
    () => void launchAdd(x, x, y), () => void launchAdd(y, x, z), () => void launchAdd(y, y, empty([16])),
  ]);
  expect([first!.entry, second!.entry]).toEqual(['add', 'joined']);
});

test('joining() takes two that write one tensor for independent only where it is told so', () => {
  const [x, y] = [given('x', [16], 1), given('y', [16], 2)];
  const bodies = [1, 2].map(() => () => void launchAdd(x, x, y));
  expect(launchesOf(bodies)).toHaveLength(2);
  const apart = new Set([y.storage]);
  expect(launchesOf(bodies, { apart })).toHaveLength(1);
  // nor within a body
  expect(launchesOf([() => bodies.forEach((body) => body())], { apart })).toHaveLength(2);
});

test('joining() joins only launches of one kernel where that is asked for', () => {
  const x = given('x', [5, 4], 1);
  const copy = (): void => dispatch('elementwise/copy', { a: x, y: empty(x.shape, 'copy') }, {
    threads: 5, tuning: { WG: 8 }, params: { count: 20, value: 0 },
  });
  const add = (): void => dispatch('elementwise/add', { a: x, b: x, y: empty(x.shape, 'sum') }, {
    threads: 5, tuning: { WG: 8 }, params: { count: 20, value: 0 },
  });
  expect(launchesOf([add, copy, add])).toHaveLength(1);
  expect(launchesOf([add, copy, add], { alike: true }).map(({ path }) => path))
    .toEqual(['elementwise/add', 'elementwise/copy']);
});

test('joining() leaves apart what differs in threads, or binds more than a kernel may', () => {
  const x = given('x', [64], 1);
  const add = (WG: number) => (): void => dispatch('elementwise/add', { a: x, b: x, y: empty([64]) },
    { threads: 16, tuning: { WG }, params: { count: 64, value: 0 } });
  expect(launchesOf([add(8), add(32), add(8)]).map(({ entry }) => entry)).toEqual(['joined', 'add']);
  const most = gpu().limits.maxStorageBuffersPerShaderStage;
  const many = launchesOf(Array.from({ length: most + 3 }, () => add(8)));
  expect(many.length).toBeGreaterThan(1);
  for (const { uses } of many) expect(uses.length).toBeLessThanOrEqual(most);
});
