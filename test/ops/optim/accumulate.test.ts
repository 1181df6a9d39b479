import { expect, test } from 'vitest';
import { evaluate } from '../../../src/autograd/run.ts';
import { lasting, placed, release } from '../../../src/autograd/tensor.ts';
import { accumulate } from '../../../src/ops/optim/accumulate.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();

for (const count of [1, 5, 256, 1031]) {
  test(`accumulate() sums the micro-batches of a step at [${count}]`, async () => {
    const room = Math.ceil(count / 4) * 4;
    const arena = lasting(gpu(), 'arena', [room], new Float32Array(room).fill(7));
    const total = placed('total', [count], { buffer: arena.storage.place!.buffer, offset: 0 }, false);
    const host = Float32Array.from({ length: count }, (_, i) => i % 32 + 1);
    const gradient = lasting(gpu(), 'gradient', [room], new Float32Array(room).fill(NaN));
    const fresh = placed('fresh', [count], { buffer: gradient.storage.place!.buffer, offset: 0 }, false);
    gpu().device.queue.writeBuffer(gradient.storage.place!.buffer, 0, host);
    const run = async (first: boolean): Promise<number[]> => {
      const [read] = await evaluate(gpu(), () => {
        accumulate(total, fresh, { factor: 0.5 });
        return [arena];
      }, { fresh: first });
      return [...read!];
    };
    const padding = Array.from({ length: room - count }, () => 0);
    const expected = (times: number): number[] => [...host.map((v) => times * 0.5 * v), ...padding];
    expect(await run(true)).toEqual(expected(1));
    expect(await run(false)).toEqual(expected(2));
    expect(await run(false)).toEqual(expected(3));
    expect(await run(true)).toEqual(expected(1));
    release(gpu(), arena);
    release(gpu(), gradient);
  });
}

test('accumulate() names a gradient of another shape', async () => {
  const total = lasting(gpu(), 'total', [4]);
  const fresh = lasting(gpu(), 'fresh', [5]);
  await expect(evaluate(gpu(), () => {
    accumulate(total, fresh);
    return [total];
  })).rejects.toThrow('accumulate: fresh must be [4], got [5]');
  release(gpu(), total);
  release(gpu(), fresh);
});
