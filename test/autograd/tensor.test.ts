import { expect, test } from 'vitest';
import { evaluate } from '../../src/autograd/run.ts';
import { expectShape } from '../../src/autograd/shape.ts';
import {
  constantTable, empty, lasting, release, trainable, viewAs, write,
} from '../../src/autograd/tensor.ts';
import { trace } from '../../src/gpu/program.ts';
import { launchFill } from '../support/launches.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

test('lasting() holds zeros where no data is given, and gives its memory back', async () => {
  const before = gpu().memory.bytes;
  const x = lasting(gpu(), 'x', [3]);
  expect(gpu().memory.bytes).toBe(before + 16);
  const [values] = await evaluate(gpu(), () => [x]);
  expect([...values!]).toEqual([0, 0, 0]);
  release(gpu(), x);
  expect(gpu().memory.bytes).toBe(before);
});

test('write() refuses another number of values, and a tensor of a program', () => {
  const x = lasting(gpu(), 'x', [2, 3]);
  expect(() => write(gpu(), x, [1, 2])).toThrow('write: "x" must get 6 values for [2, 3], got 2');
  trace(gpu(), 'transients', () => {
    const y = empty([2], 'y');
    expect(() => write(gpu(), y, [1, 2])).toThrow('write: "y [2]" must be a lasting tensor');
    expect(() => release(gpu(), y)).toThrow('release: "y [2]" must be a lasting tensor');
  });
  release(gpu(), x);
});

test('write() keeps whole numbers of a u32 tensor whole', async () => {
  const x = lasting(gpu(), 'x', [2], [2 ** 32 - 1, 2 ** 24 + 1], 'u32');
  const [values] = await evaluate(gpu(), () => [x]);
  expect([...new Uint32Array(values!.buffer)]).toEqual([2 ** 32 - 1, 2 ** 24 + 1]);
  release(gpu(), x);
});

test('viewAs() shares the bytes, and refuses a shape of another size', () => {
  trace(gpu(), 'views', () => {
    const x = trainable(launchFill(6));
    const y = viewAs(x, [2, 3]);
    expect([y.storage, y.shape, y.requiresGrad]).toEqual([x.storage, [2, 3], true]);
    expect(() => viewAs(x, [4])).toThrow('reshape: [4] must hold 6 elements, as [6] does');
  });
});

test('constantTable() makes one table for each content', () => {
  const table = constantTable(gpu(), [1, 2, 3]);
  expect(constantTable(gpu(), [1, 2, 3])).toBe(table);
  expect(constantTable(gpu(), [1, 2, 4])).not.toBe(table);
});

test('expectShape() says what must hold, and what came', () => {
  expectShape('layernorm', 'w', [96], [96]);
  expect(() => expectShape('layernorm', 'w', [2, 96], [96]))
    .toThrow('layernorm: w must be [96], got [2, 96]');
  expect(() => expectShape('layernorm', 'w', [], [96])).toThrow('layernorm: w must be [96], got []');
});
