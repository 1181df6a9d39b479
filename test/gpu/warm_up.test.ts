import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { compile } from '../../src/gpu/executable.ts';
import { openGpu } from '../../src/gpu/device.ts';
import { dispatch, keep, trace } from '../../src/gpu/program.ts';
import { cacheOfMesa, warmUp } from '../../src/gpu/warm_up.ts';
import { empty, type Tensor } from '../../src/autograd/tensor.ts';

const folder = mkdtempSync(join(tmpdir(), 'mtlora-shaders-'));
process.env.MESA_SHADER_CACHE_DIR = folder;             // before the driver starts
const gpu = await openGpu();
const keepsCache = cacheOfMesa(gpu) !== null;
afterAll(() => {
  gpu.close();
  rmSync(folder, { recursive: true });
});

const code = (value: number): string => `@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = ${value}.0; }`;

function kernels(from: number, count: number): Tensor[] {
  return Array.from({ length: count }, (_, i) => {
    const y = empty([1]);
    const generated = { key: `warm ${from + i}`, code: () => code(from + i) };
    dispatch('warm/main', { y }, { workgroups: 1, generated });
    keep(y);
    return y;
  });
}

const listed = (): string[] =>
  readFileSync(join(cacheOfMesa(gpu)!, 'mtlora_compiled'), 'utf8').trim().split('\n');

test.runIf(keepsCache)('warmUp() compiles a program\'s kernels once, and launches none', async () => {
  const { executable, result } = await compile(gpu, 'first', () => kernels(1, 12));
  expect(listed()).toHaveLength(12);
  const before = await executable.read(result);
  expect(before.map((bytes) => new Float32Array(bytes)[0])).toEqual(result.map(() => 0));
  executable.run();
  const after = await executable.read(result);
  expect(after.map((bytes) => new Float32Array(bytes)[0])).toEqual(result.map((_, i) => i + 1));
  executable.destroy();

  await warmUp(gpu, trace(gpu, 'again', () => kernels(1, 12)).program.dispatches);
  expect(listed()).toHaveLength(12);
});

test.runIf(keepsCache)('warmUp() leaves a few kernels to their first launch', async () => {
  await warmUp(gpu, trace(gpu, 'few', () => kernels(100, 11)).program.dispatches);
  expect(listed()).toHaveLength(12);
});

test.runIf(keepsCache)('warmUp() throws what is wrong with a kernel', async () => {
  const broken = { key: 'warm broken', code: () => code(1).replace('y[id.x]', 'z[id.x]') };
  const { program } = trace(gpu, 'broken', () => {
    kernels(200, 12);
    dispatch('warm/main', { y: empty([1]) }, { workgroups: 1, generated: broken });
  });
  await expect(warmUp(gpu, program.dispatches)).rejects.toThrow('kernels/warm broken:2');
  expect(listed()).toHaveLength(12);
});

test('cacheOfMesa() is where Mesa keeps compiled shaders', () => {
  const adapter = { name: 'llvmpipe', vendor: '', architecture: '', driver: '', software: true };
  const home = mkdtempSync(join(folder, 'home-'));
  expect(cacheOfMesa({ adapter }, { HOME: home })).toBeNull();
  mkdirSync(join(home, '.cache/mesa_shader_cache'), { recursive: true });
  expect(cacheOfMesa({ adapter }, { HOME: home })).toBe(join(home, '.cache/mesa_shader_cache'));
  mkdirSync(join(home, 'mesa_shader_cache_db'));
  expect(cacheOfMesa({ adapter }, { HOME: home, XDG_CACHE_HOME: home }))
    .toBe(join(home, 'mesa_shader_cache_db'));
  expect(cacheOfMesa({ adapter }, { HOME: folder, MESA_SHADER_CACHE_DIR: home }))
    .toBe(join(home, 'mesa_shader_cache_db'));
  expect(cacheOfMesa({ adapter }, { HOME: home, MESA_SHADER_CACHE_DISABLE: 'true' })).toBeNull();
  expect(cacheOfMesa({ adapter: { ...adapter, name: 'NVIDIA H200' } }, { HOME: home })).toBeNull();
});
