import { expect, test } from 'vitest';
import { evaluate } from '../../src/autograd/run.ts';
import { empty, lasting, release, write, type Tensor } from '../../src/autograd/tensor.ts';
import { compile, type Executable } from '../../src/gpu/executable.ts';
import { dispatch, keep } from '../../src/gpu/program.ts';
import { useGpu } from '../support/gpu.ts';
import { launchAdd, launchFill } from '../support/launches.ts';
import { mlpStep } from '../support/mlp_step.ts';

const gpu = useGpu();

test('run() replays a program on what its inputs hold by then', async () => {
  const x = lasting(gpu(), 'x', [5], [1, 2, 3, 4, 5]);
  const { executable, result } = await compile(gpu(), 'twice', () => {
    const y = launchAdd(x, x);
    keep(y);
    return y;
  });
  const run = async (): Promise<number[]> => {
    executable.run();
    return [...new Float32Array((await executable.read([result]))[0]!)];
  };
  expect(await run()).toEqual([2, 4, 6, 8, 10]);
  write(gpu(), x, [0, -1, -2, -3, 0.5]);
  expect(await run()).toEqual([0, -2, -4, -6, 1]);
  executable.destroy();
  release(gpu(), x);
});

test('read() refuses what was not kept, which another tensor may have overwritten', async () => {
  let between: Tensor;
  const { executable } = await compile(gpu(), 'sum', () => {
    between = launchFill(4);
    keep(launchAdd(between, between));
  });
  await expect(executable.read([between!])).rejects
    .toThrow('sum: "filled [4]" was not kept, so it cannot be read');
  executable.destroy();
});

test('compile() leaves out launches that nobody sees, and no others', async () => {
  const { executable, result } = await compile(gpu(), 'sum', () => {
    launchAdd(launchFill(8), launchFill(8));                    // nobody reads it
    const y = launchAdd(launchFill(4, 2), launchFill(4, 3));
    keep(y);
    return y;
  });
  expect(executable.commands.map(({ dispatch: { path } }) => path)).toEqual([
    'elementwise/fill', 'elementwise/fill', 'elementwise/add',
  ]);
  executable.run();
  expect([...new Float32Array((await executable.read([result]))[0]!)]).toEqual([5, 5, 5, 5]);
  executable.destroy();
});

test('run() reaches every element of a grid beyond 65,535 workgroups', async () => {
  const floats = 65_537 * 8 * 4 - 3;
  const [y] = await evaluate(gpu(), () => {
    const tensor = launchFill(floats, 0);
    const launch = { threads: Math.ceil(floats / 4), params: { count: floats, value: 7 }, tuning: { WG: 8 } };
    dispatch('elementwise/fill', { y: tensor }, launch);
    return [tensor];
  });
  expect(y).toHaveLength(floats);
  expect(y!.findIndex((value) => value !== 7)).toBe(-1);
});

const LIVE = `
struct Live {
  step: u32, seed: u32, lr: f32, correction1: f32, correction2: f32, fresh: u32, pad0: u32, pad1: u32,
}
@group(0) @binding(31) var<uniform> live: Live;
@group(0) @binding(0) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(1) fn forward() {
  y[0] = f32(live.step); y[1] = f32(live.seed); y[2] = live.lr;
  y[3] = live.correction1; y[4] = live.correction2; y[5] = f32(live.fresh);
}`;

test('run() gives kernels what changes from step to step, and defaults for what is left out', async () => {
  const y = lasting(gpu(), 'y', [6]);
  const { executable } = await compile(gpu(), 'live', () =>
    dispatch('live/forward', { y }, { workgroups: 1, generated: { key: 'live', code: () => LIVE } }));
  const read = async (): Promise<number[]> => [...new Float32Array((await executable.read([y]))[0]!)];
  executable.run({ step: 3, seed: 70_000, lr: 0.5, correction1: 0.25, correction2: 0.125, fresh: false });
  expect(await read()).toEqual([3, 70_000, 0.5, 0.25, 0.125, 0]);
  executable.run({ step: 4 });
  expect(await read()).toEqual([4, 0, 0, 1, 1, 1]);
  executable.destroy();
  release(gpu(), y);
});

test('run() allocates nothing: memory stays as it is over 200 training steps', async () => {
  const before = gpu().memory.bytes;
  const step = await mlpStep(gpu());
  const losses: number[] = [];
  for (let i = 0; i < 100; i++) losses.push(await step.run(i));     // the driver's and Node's own caches fill
  const [bytes, rss] = [gpu().memory.bytes, process.memoryUsage.rss()];
  for (let i = 100; i < 300; i++) losses.push(await step.run(i));
  expect(gpu().memory.bytes).toBe(bytes);
  expect((process.memoryUsage.rss() - rss) / 2 ** 20).toBeLessThan(16);
  expect(losses.at(-1)).toBeLessThan(0.5 * losses[0]!);
  step.destroy();
  expect(gpu().memory.bytes).toBe(before);
});

test('compile() places a program in the buffers of another, and frees its own alone', async () => {
  const sizes = async (floats: readonly number[], lenders: readonly Executable[] = []) => {
    const { executable, result } = await compile(gpu(), 'fills', () => {
      const made = floats.map((count, i) => {
        const y = empty([count], `t${i}`);
        dispatch('elementwise/fill', { y }, { threads: count / 4, params: { count, value: i + 1 } });
        return y;
      });
      keep(...made);
      return made;
    }, lenders);
    return { executable, result };
  };
  const { executable: lender } = await sizes([4096, 1024, 64]);
  const before = gpu().memory.bytes;
  const { executable, result } = await sizes([1024, 2048, 8192, 32], [lender]);
  // 8192 fits nowhere; 2048 takes the 4096, 1024 the 1024, 32 the 64
  const own = gpu().memory.bytes - before;
  expect(own).toBeGreaterThanOrEqual(4 * 8192);
  expect(own).toBeLessThan(4 * 8192 + 1024);
  executable.run();
  const values = (await executable.read(result)).map((bytes) => new Set(new Float32Array(bytes)));
  expect(values).toEqual([1, 2, 3, 4].map((value) => new Set([value])));
  executable.destroy();
  expect(gpu().memory.bytes).toBe(before);
  lender.run();                                                  // its buffers are still there
  await gpu().idle();
  lender.destroy();
});
