import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { evaluate } from '../../src/autograd/run.ts';
import { empty, lasting, release } from '../../src/autograd/tensor.ts';
import { dispatch, trace } from '../../src/gpu/program.ts';
import { floatsOf, storedAsHalves } from '../../src/gpu/storage_type.ts';
import { loadKernel, parseKernel } from '../../src/gpu/wgsl.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

function rewritten(body: string, names: readonly string[]): string {
  const source = parseKernel('kernels/k.wgsl', `alias Item = vec4f;   // tune: vec4f f32
@group(0) @binding(0) var<storage, read> x: array<Item>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
${body}`);
  return storedAsHalves(source, names).code.split('\n').slice(3).join('\n');
}

test('storedAsHalves() declares, loads and stores halves, and leaves what else has that name', () => {
  expect(rewritten(`struct Place { x: u32, y: u32 }
fn own(x: vec4f, at: Place) -> f32 { return x[at.y]; }      // x[0] = y[1];
fn f(i: u32) {
  if (y[i] == 1.0 && x[i].x <= 2.0) { y[u32(y[i] + x[i - 1u].w)] = x[i].z * (y[i] +
    1.0); }
  let y = x[0].y;
  g(y);
}
fn h() { y[0] = 1.0; }`, ['x', 'y'])).toBe(`struct Place { x: u32, y: u32 }
fn own(x: vec4f, at: Place) -> f32 { return x[at.y]; }      // x[0] = y[1];
fn f(i: u32) {
  if (f32(y[i]) == 1.0 && vec4f(x[i]).x <= 2.0) { `
    + `y[u32(f32(y[i]) + vec4f(x[i - 1u]).w)] = f16(vec4f(x[i]).z * (f32(y[i]) +
    1.0)); }
  let y = vec4f(x[0]).y;
  g(y);
}
fn h() { y[0] = f16(1.0); }`);
});

test('storedAsHalves() keeps the lines and what a library says of them', () => {
  const source = loadKernel('layernorm');
  const halved = storedAsHalves(source, ['x', 'y']);
  expect(halved.code.split('\n').length).toBe(source.code.split('\n').length);
  expect(halved.parts).toBe(source.parts);
  expect(['x', 'y', 'w'].map((name) => floatsOf(halved, halved.bindings.get(name)!)))
    .toEqual(['f16', 'f16', 'f32']);
});

test.each([
  ['y[i] += 1.0;', 'must be assigned whole elements by "="'],
  ['y[i].x = 1.0;', 'must be assigned whole elements by "="'],
  ['f(&y[i]);', 'must not be pointed at'],
  ['f(&y);', 'must not be pointed at'],
  ['g(y);', 'must be read and written by element'],
])('storedAsHalves() refuses %s', (statement, says) => {
  expect(() => rewritten(`fn f(i: u32) { ${statement} }`, ['y']))
    .toThrow(`kernels/k.wgsl: to be stored as f16, "y" ${says}`);
});

// sums that a launch adds to as it goes are never stored as halves
const ACCUMULATED = ['ema averages'];

test('storedAsHalves() can be asked for any floats of any kernel', async () => {
  const { device } = gpu();
  const files = readdirSync(new URL('../../kernels', import.meta.url))
    .filter((file) => file.endsWith('.wgsl')).map((file) => file.replace('.wgsl', ''));
  for (const file of files) {
    const source = loadKernel(file);
    const names = [...source.bindings.values()].filter((binding) => floatsOf(source, binding) === 'f32')
      .map(({ name }) => name).filter((name) => !ACCUMULATED.includes(`${file} ${name}`));
    const module = device.createShaderModule({ code: storedAsHalves(source, names).code });
    const { messages } = await module.getCompilationInfo();
    expect(messages.filter(({ type }) => type === 'error').map(({ message }) => message), file).toEqual([]);
  }
});

test('dispatch() stores an f16 tensor in half the bytes, rounded, past 65,504 infinite', async () => {
  const values = [1, 1 + 3 / 2048, 65519, 65520, -1e9, 6e-8, 2e-8];
  const x = lasting(gpu(), 'x', [values.length], values);
  const read = await evaluate(gpu(), () => {
    const y = empty([values.length], 'y', 'f16');
    expect([y.bytes, y.storage.bytes]).toEqual([14, 16]);
    const launch = { threads: 2, params: { count: values.length, value: 1 } };
    dispatch('elementwise/copy', { a: x, y }, launch);
    const again = empty([values.length], 'again');
    dispatch('elementwise/scale', { a: y, y: again }, launch);
    return [y, again];
  });
  const want = [1, 1 + 4 / 2048, 65504, Infinity, -Infinity, 2 ** -24, 0];
  for (const got of read) expect([...got]).toEqual(want);
  release(gpu(), x);
});

test('dispatch() tells variants by what is stored as halves, and leaves words that are no floats', () => {
  const { program } = trace(gpu(), 'variants', () => {
    const [a, y] = [empty([4], 'a', 'f16'), empty([4], 'y')];
    const bits = empty([1], 'bits', 'f16');
    dispatch('elementwise/copy', { a, y }, { threads: 1, params: { count: 4, value: 0 } });
    const masks = empty([4], 'masks', 'u32');
    dispatch('drawn_masks/draw_bits', { masks, bits }, { workgroups: 1, params: { count: 1, chunks: 1 } });
  });
  expect(program.dispatches.map(({ variant, bytes }) => [variant, bytes]))
    .toEqual([['elementwise f16(a)', 16 + 16], ['drawn_masks', 32]]);
});
