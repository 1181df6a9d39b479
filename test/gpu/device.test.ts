import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { evaluate } from '../../src/autograd/run.ts';
import { lasting, type Tensor } from '../../src/autograd/tensor.ts';
import { listAdapters, openGpu, type Gpu } from '../../src/gpu/device.ts';
import { compile, type Executable } from '../../src/gpu/executable.ts';
import { keep } from '../../src/gpu/program.ts';
import { download } from '../../src/gpu/transfer.ts';
import { launchAdd, launchFill } from '../support/launches.ts';

const ROOT = join(import.meta.dirname, '../..');

type Opened = { gpu: Gpu; x: Tensor; y: Tensor; executable: Executable };

/** A device of its own, to be lost, with a program y = x + x. */
async function opened(launches = 1): Promise<Opened> {
  const gpu = await openGpu();
  const x = lasting(gpu, 'x', [2 ** 20], new Float32Array(2 ** 20).fill(1));
  const { executable, result: y } = await compile(gpu, 'doubling', () => {
    let sum = x;
    for (let i = 0; i < launches; i++) sum = launchAdd(sum, sum);
    keep(sum);
    return sum;
  });
  return { gpu, x, y, executable };
}

test('openGpu() opens the adapter that its number or part of its name chooses', async () => {
  const adapters = await listAdapters();
  const last = adapters.length - 1;
  for (const device of [String(last), adapters[last]!.name.slice(1, 7).toUpperCase()]) {
    const gpu = await openGpu({ device });
    expect(adapters.map(({ name }) => name)).toContain(gpu.adapter.name);
    gpu.close();
  }
});

test('openGpu() lists the adapters where none is meant', async () => {
  const [first] = await listAdapters();
  const listed = `--device: must be the number or part of the name of one of 0: "${first!.name}"`;
  await expect(openGpu({ device: 'voodoo' })).rejects.toThrow(listed);
  await expect(openGpu({ device: 'voodoo' })).rejects.toThrow(', got "voodoo"');
  await expect(openGpu({ device: '99' })).rejects.toThrow(', got "99"');
});

test('openGpu() says what to install where there is no adapter', () => {
  const script = 'const { openGpu } = await import("./src/gpu/device.ts"); await openGpu().catch((error) => '
    + '{ console.log(`${error.name}: ${error.message}`); process.exit(3); });';
  const env = { ...process.env, VK_DRIVER_FILES: '/dev/null', MTLORA_DRIVER: 'system' };
  const child = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: ROOT, env, encoding: 'utf8', timeout: 60_000,
  });
  expect(child.status).toBe(3);
  expect(child.stdout).toMatch(/^GpuError: no WebGPU adapter found.*: install a Vulkan.*npm run setup/);
  expect(child.stdout.trim().split('\n')).toHaveLength(1);
});

test('run() throws what made a launch fail, so that nothing is read which it did not write', async () => {
  const { gpu, x, executable } = await opened();
  gpu.memory.free(x.storage.place!.buffer);
  expect(() => executable.run()).toThrow(/: \[Buffer "x"\] used in submit while destroyed$/);
  gpu.close();
});

test('read() rejects with what the device reported before', async () => {
  const { gpu, x, y, executable } = await opened();
  gpu.device.queue.writeBuffer(x.storage.place!.buffer, 2 ** 30, new Float32Array(4));
  await expect(executable.read([y])).rejects.toThrow(/^[^:]+: Write range .*\[Buffer "x"\]/);
  executable.run();                                              // an error is told once, and not for ever
  expect(new Float32Array((await executable.read([y]))[0]!)[7]).toBe(2);
  gpu.close();
});

test('read() rejects where the device is lost while it waits', async () => {
  const { gpu, y, executable } = await opened(60);
  executable.run();
  const pending = executable.read([y]);
  setImmediate(() => gpu.device.destroy());
  await expect(pending).rejects
    .toThrow(/: the device was lost \(destroyed: .*\): start again from the last checkpoint$/);
});

test('idle() rejects where the device is lost while it waits', async () => {
  const { gpu, executable } = await opened(60);
  executable.run();
  const pending = gpu.idle();
  setImmediate(() => gpu.device.destroy());
  await expect(pending).rejects.toThrow(/the device was lost/);
});

test('every use of a lost device throws, each time', async () => {
  const { gpu, x, y, executable } = await opened();
  gpu.device.destroy();
  await gpu.device.lost;
  for (let i = 0; i < 2; i++) {
    expect(() => gpu.check()).toThrow(/the device was lost/);
    expect(() => executable.run()).toThrow(/the device was lost/);
    await expect(executable.read([y])).rejects.toThrow(/the device was lost/);
    await expect(gpu.idle()).rejects.toThrow(/the device was lost/);
    await expect(compile(gpu, 'more', () => keep(launchAdd(x, x)))).rejects.toThrow(/the device was lost/);
    await expect(evaluate(gpu, () => [launchFill(4)])).rejects.toThrow(/the device was lost/);
  }
});

test('close() ends a pending readback in an error', async () => {
  const { gpu, x, executable } = await opened(60);
  executable.run();
  const pending = download(gpu, [{ ...x.storage.place!, bytes: x.bytes }]);
  gpu.close();
  await expect(pending).rejects.toThrow(/: the device was closed$/);
});
