import { expect, test } from 'vitest';
import { evaluate } from '../../src/autograd/run.ts';
import { empty, lasting, placed, release } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import { compile } from '../../src/gpu/executable.ts';
import { dispatch, keep, scope } from '../../src/gpu/program.ts';
import { useGpu } from '../support/gpu.ts';
import { launchAdd, launchFill } from '../support/launches.ts';

const gpu = useGpu();
const BINDINGS = `@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
`;

/** Runs a kernel of its own text on a buffer `y`. */
function runText(key: string, body: string): Promise<unknown> {
  return evaluate(gpu(), () => {
    const y = empty([4], 'y');
    const generated = { key, code: () => BINDINGS + body };
    scope('head', () => dispatch(`${key}/forward`, { y }, { workgroups: 1, generated }));
    return [y];
  });
}

test('compile() names the op, and the place of an error in its kernel', () =>
  expect(runText('unknown_call', '@compute @workgroup_size(1)\nfn forward() { y[0] = inverseSqr(2.0); }'))
    .rejects.toThrow('head unknown_call/forward: kernels/unknown_call:4:23 error: unresolved call target '
      + '\'inverseSqr\' in "fn forward() { y[0] = inverseSqr(2.0); }"'));

test('compile() names the buffer that a kernel uses and a launch does not give', () =>
  expect(runText('missing_buffer', '@compute @workgroup_size(1) fn forward() { y[0] = x[0]; }'))
    .rejects.toThrow('head missing_buffer/forward: kernels/missing_buffer: the kernel uses the buffer "x", '
      + 'which the launch does not give'));

test('compile() refuses a workgroup beyond the limits of the device', () =>
  expect(runText('large_group', '@compute @workgroup_size(4096) fn forward() { y[0] = 1.0; }'))
    .rejects.toThrow(/^head large_group\/forward: kernels\/large_group: .*\(4096, 1, 1\) that exceeds/));

test('compile() names the launch whose tensor lies beyond the end of its buffer', async () => {
  const x = lasting(gpu(), 'x', [64]);
  const beyond = placed('beyond', [64], { buffer: x.storage.place!.buffer, offset: 128 }, false);
  const before = gpu().memory.bytes;
  await expect(compile(gpu(), 'sum', () => scope('mlp', () => keep(launchAdd(beyond, beyond)))))
    .rejects.toThrow('mlp elementwise/add: Binding range (offset: 128, size: 256) doesn\'t fit in the size');
  expect(gpu().memory.bytes).toBe(before);
  release(gpu(), x);
});

test('compile() names the launch that reads and writes one buffer, and both tensors', async () => {
  const x = lasting(gpu(), 'x', [256]);
  const part = (label: string, floats: number) =>
    placed(label, [64], { buffer: x.storage.place!.buffer, offset: 4 * floats }, false);
  const [left, right] = [part('left', 0), part('right', 128)];
  await expect(compile(gpu(), 'in place', () => launchAdd(left, launchFill(64), right)))
    .rejects.toThrow('elementwise/add: "a" (left) must not lie in the buffer of "y" (right)');
  await expect(compile(gpu(), 'in place', () => {
    const y = launchFill(64);
    keep(launchAdd(y, y, y));
  })).rejects.toThrow('elementwise/add: "a" (filled [64]) must not lie in the buffer of "y" (filled [64])');
  release(gpu(), x);
});

test('compile() says how much memory there was no room for, and frees what it got', async () => {
  const before = gpu().memory.bytes;
  await expect(compile(withoutRoom(gpu()), 'step', () => keep(launchFill(4096))))
    .rejects.toThrow('step: the device has no room for 16384 bytes: use a smaller batch or image');
  expect(gpu().memory.bytes).toBe(before);
});

/** The device, but that every allocation in an error scope fails. */
function withoutRoom({ device, ...rest }: Gpu): Gpu {
  const filters: GPUErrorFilter[] = [];
  const overrides: Partial<GPUDevice> = {
    pushErrorScope(filter) {
      filters.push(filter);
      device.pushErrorScope(filter);
    },
    async popErrorScope() {
      const error = await device.popErrorScope();
      return filters.pop() === 'out-of-memory' ? { message: 'vkAllocateMemory failed' } as GPUError : error;
    },
  };
  const full = new Proxy(device, {
    get(target, name) {
      const value: unknown = Reflect.get(overrides, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) as unknown : value;
    },
  });
  return { ...rest, device: full };
}

test('alloc() names a buffer that is larger than the device allows', () => {
  const most = gpu().limits.maxBufferSize;
  const size = 16 * Math.ceil((most + 16) / 16);
  expect(() => gpu().memory.alloc('activations', size))
    .toThrow(`activations: needs a buffer of ${size} bytes, and this device allows ${most}`);
});

test('free() refuses a buffer that it does not know', () => {
  const buffer = gpu().memory.alloc('scratch', 16);
  gpu().memory.free(buffer);
  expect(() => gpu().memory.free(buffer)).toThrow('scratch: freed twice, or not allocated here');
});

test('lasting() names a tensor that no kernel of the device can be given', () => {
  const floats = gpu().limits.maxStorageBufferBindingSize / 4 + 4;
  expect(() => lasting(gpu(), 'images', [floats]))
    .toThrow(`images [${floats}]: needs ${4 * floats} bytes in one binding`);
});
