import { expect, test } from 'vitest';
import { backward, compile, keep, lasting, ops, openGpu, release, trainable } from '../src/index.ts';

test('the library alone traces, differentiates and runs a layer', async () => {
  const gpu = await openGpu();
  const x = lasting(gpu, 'x', [2, 3], [1, 2, 3, 4, 5, 6]);
  const w = trainable(lasting(gpu, 'w', [1, 3], [1, -1, 2]));
  const { executable, result } = await compile(gpu, 'layer', () => {
    const y = ops.linear(x, w, null);
    const dw = backward([[y, null]]).get(w)!;
    keep(y, dw);
    return [y, dw];
  });
  executable.run();
  const [y, dw] = (await executable.read(result)).map((bytes) => [...new Float32Array(bytes)]);
  expect(y).toEqual([5, 11]);
  expect(dw).toEqual([5, 7, 9]);
  executable.destroy();
  release(gpu, x);
  release(gpu, w);
  gpu.close();
});
