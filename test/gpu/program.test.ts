import { expect, test } from 'vitest';
import { empty, type Tensor } from '../../src/autograd/tensor.ts';
import { packUniforms } from '../../src/gpu/placement.ts';
import { dispatch, keep, scope, trace } from '../../src/gpu/program.ts';
import type { Dispatch, Launch, Program } from '../../src/gpu/program.ts';
import { launchFill } from '../support/launches.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();
const traced = (body: () => void): Program => trace(gpu(), 'traced', body).program;

function fill(launch: Partial<Launch> = {}, path = 'elementwise/fill', names = ['y']): Program {
  return traced(() => {
    const buffers: Record<string, Tensor> = {};
    for (const name of names) buffers[name] = empty([64], name);
    dispatch(path, buffers, { threads: 16, params: { count: 64, value: 1 }, ...launch } as Launch);
  });
}

test('dispatch() labels a launch with the scopes that it was traced in', () => {
  const { dispatches } = traced(() => scope('backbone', () => {
    scope('layers.0', () => launchFill(4));
    launchFill(4);
  }));
  expect(dispatches.map(({ label }) => label)).toEqual([
    'backbone layers.0 elementwise/fill', 'backbone elementwise/fill',
  ]);
});

test('scope() is over when its body throws', () => {
  const { dispatches } = traced(() => {
    expect(() => scope('failed', () => { throw new Error('inside'); })).toThrow('inside');
    launchFill(4);
  });
  expect(dispatches[0]!.label).toBe('elementwise/fill');
});

test('dispatch() packs parameters in the order and the type that the kernel declares', () => {
  const { params } = fill({ params: { value: -1.5, count: 64 } }).dispatches[0]!;
  expect([...params!]).toEqual([64, 0xbfc00000, 1, 0]);      // walk is the engine's own
});

test('dispatch() folds grids beyond 65,535 workgroups into two dimensions', () => {
  expect(fill({ threads: 65 }).dispatches[0]!.grid).toEqual([2, 1]);
  const grid = (workgroups: number): readonly number[] => fill({ workgroups }).dispatches[0]!.grid;
  expect(grid(65_535)).toEqual([65_535, 1]);
  expect(grid(65_536)).toEqual([32_768, 2]);
  expect(grid(200_001)).toEqual([50_001, 4]);
});

test('dispatch() has few workgroups walk over items in software, and a thread take each on a GPU', () => {
  const walked = (items: number, deviceClass: 'software' | 'gpu') => {
    const { program } = trace({ ...gpu(), deviceClass, subgroupSize: 8 }, 'traced', () => {
      const params = { count: 4 * items, value: 1 };
      dispatch('elementwise/fill', { y: empty([4 * items]) }, { items, params });
    });
    const [{ grid, params, variant }] = program.dispatches as [Dispatch];
    return { grid, walk: params![2], variant };
  };
  expect(walked(100, 'software')).toEqual({ grid: [1, 1], walk: 13, variant: 'elementwise WG=8' });
  expect(walked(1_000_000, 'software')).toEqual({ grid: [32, 1], walk: 3907, variant: 'elementwise WG=8' });
  expect(walked(1_000_000, 'gpu')).toEqual({ grid: [15_625, 1], walk: 1, variant: 'elementwise' });
});

test('dispatch() names the variant by the tuning that differs from the default', () => {
  expect(fill().dispatches[0]!.variant).toBe('elementwise');
  expect(fill({ tuning: { WG: 8 } }).dispatches[0])
    .toMatchObject({ variant: 'elementwise WG=8', grid: [2, 1] });
});

const REFUSED: [string, () => Program, string][] = [
  ['a kernel without that entry', () => fill({}, 'elementwise/cube'),
    'elementwise/cube: kernels/elementwise.wgsl has no entry point "cube"'],
  ['a buffer that the kernel lacks', () => fill({}, 'elementwise/fill', ['y', 'weight']),
    'elementwise/fill: the kernel has no binding "weight"'],
  ['a uniform given as a buffer', () => fill({}, 'elementwise/fill', ['y', 'params']),
    'elementwise/fill: the kernel has no binding "params"'],
  ['a parameter that the kernel lacks', () => fill({ params: { count: 1, value: 1, eps: 1 } }),
    'elementwise/fill: the kernel has no parameter "eps"'],
  ['a missing parameter', () => fill({ params: { count: 1 } }),
    'elementwise/fill: parameter "value" must be of type f32, got undefined'],
  ['a NaN', () => fill({ params: { count: 1, value: NaN } }),
    'elementwise/fill: parameter "value" must be of type f32, got NaN'],
  ['a negative count', () => fill({ params: { count: -1, value: 1 } }),
    'elementwise/fill: parameter "count" must be of type u32, got -1'],
  ['half a count', () => fill({ params: { count: 0.5, value: 1 } }),
    'elementwise/fill: parameter "count" must be of type u32, got 0.5'],
  ['no workgroup', () => fill({ workgroups: 0 }),
    'elementwise/fill: must launch 1 to 2^31 threads, got 0 workgroups of 64'],
  ['more threads than a kernel can count', () => fill({ workgroups: 2 ** 26 }),
    'elementwise/fill: must launch 1 to 2^31 threads, got 67108864 workgroups of 64'],
];

for (const [name, run, message] of REFUSED) {
  test(`dispatch() refuses ${name}`, () => expect(run).toThrow(message));
}

test('dispatch() says in which scopes it refuses', () =>
  expect(() => traced(() => scope('head', () => dispatch('elementwise/cube', {}, { threads: 1 }))))
    .toThrow('head elementwise/cube: kernels/elementwise.wgsl has no entry point "cube"'));

test('empty() names a tensor that no kernel of the device can be given, and what to change', () => {
  const most = gpu().limits.maxStorageBufferBindingSize;
  const floats = most / 4 + 1;
  expect(() => traced(() => scope('fc1', () => empty([floats], 'linear')))).toThrow(
    `fc1 linear [${floats}]: needs ${4 * floats} bytes in one binding, and this device allows ${most}: `
    + 'use a smaller batch or image');
});

test('trace() refuses to be nested, and ops refuse to run outside of it', () => {
  traced(() => expect(() => trace(gpu(), 'inner', () => undefined))
    .toThrow('trace: "traced" is being traced already'));
  expect(() => launchFill(4)).toThrow('filled [4]: must run inside a traced program');
  expect(() => keep()).toThrow('keep: must run inside a traced program');
});

test('packUniforms() stores equal parameters once, each at an offset that can be bound', () => {
  const words = (...values: number[]): Pick<Dispatch, 'params'> => ({ params: Uint32Array.from(values) });
  const launches = [words(1, 2, 3, 4), words(5, 0, 0, 0), { params: null }, words(1, 2, 3, 4)];
  const { bytes, offsets } = packUniforms(launches, 256);
  expect(offsets).toEqual([0, 256, 0, 0]);
  expect(bytes.byteLength).toBe(512);
  expect([...new Uint32Array(bytes.buffer, 256, 2)]).toEqual([5, 0]);
});
