import { expect, test } from 'vitest';
import { evaluate } from '../../src/autograd/run.ts';
import { empty, placed, type Tensor } from '../../src/autograd/tensor.ts';
import { dispatch, keep, trace } from '../../src/gpu/program.ts';
import { download } from '../../src/gpu/transfer.ts';
import { compile } from '../../src/gpu/executable.ts';
import { scale } from '../../src/ops/elementwise.ts';
import { partialSums, sumLater } from '../../src/ops/gathered_sums.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();
const SIZES = [[3, 7], [32, 96], [1, 64], [5, 129], [2, 1]] as const;

/** Parts [runs, columns] that are all `value`, whose sums are `runs` · `value`. */
function filled(runs: number, columns: number, value: number): Tensor {
  const part = partialSums([runs, columns]);
  const count = runs * columns;
  dispatch('elementwise/fill', { y: part }, { items: Math.ceil(count / 4), params: { count, value } });
  return part;
}

test('sumLater() adds up runs of many sizes, where they have no place each by itself', async () => {
  const read = await evaluate(gpu(), () => SIZES.map(([runs, columns], i) => {
    const into = empty([columns]);
    sumLater(filled(runs, columns, i + 1), into);
    return into;
  }));
  read.forEach((values, i) => {
    const [runs, columns] = SIZES[i]!;
    expect([...values]).toEqual(Array.from({ length: columns }, () => runs * (i + 1)));
  });
});

test('sumLater() takes one launch for all sums into one buffer, before anything reads that', async () => {
  const buffer = gpu().memory.alloc('arena', 4 * 960);
  const { executable } = await compile(gpu(), 'arena', () => {
    SIZES.forEach(([runs, columns], i) => {
      const into = empty([columns]);
      sumLater(filled(runs, columns, i + 1), into);
      into.storage.place = { buffer, offset: 768 * i };
    });
    const whole = placed('arena', [960], { buffer, offset: 0 }, false);
    keep(scale(whole, 1));
  });
  expect(executable.commands.map(({ dispatch: { path } }) => path).slice(SIZES.length))
    .toEqual(['gathered_sums/forward', 'elementwise/scale']);
  executable.run();
  const [bytes] = await download(gpu(), [{ buffer, offset: 0, bytes: 4 * 960 }]);
  const values = new Float32Array(bytes!);
  SIZES.forEach(([runs, columns], i) => {
    const want = new Float32Array(columns).fill(runs * (i + 1));
    expect(values.slice(192 * i, 192 * i + columns)).toEqual(want);
  });
  expect(values[7]).toBe(0);                                           // past the first sum, before the next
  executable.destroy();
  gpu().memory.free(buffer);
});

test('sumLater() adds up what a launch reads before that launch, and starts anew after it', async () => {
  const read = await evaluate(gpu(), () => {
    const [first, second, third] = [empty([7]), empty([7]), empty([7])];
    sumLater(filled(3, 7, 1), first);
    sumLater(filled(4, 7, 1), second);
    const doubled = scale(first, 2);
    sumLater(filled(5, 7, 1), third);
    return [doubled, second, third];
  });
  expect(read.map(([value]) => value)).toEqual([6, 4, 5]);
});

test('sumLater() gives partial sums no more in a buffer than the device can bind, nor sums', () => {
  const buffer = gpu().memory.alloc('arena', 4096);
  const limits = { ...gpu().limits, maxStorageBufferBindingSize: 1024 } as GPUSupportedLimits;
  const { program } = trace({ ...gpu(), limits }, 'sums', () => {
    for (let i = 0; i < 5; i++) {
      const into = empty([64]);
      sumLater(filled(2, 64, 1), into);
      into.storage.place = { buffer, offset: 512 * i };
    }
  });
  const sums = program.dispatches.filter(({ path }) => path === 'gathered_sums/forward');
  expect(sums.map(({ params }) => params![0])).toEqual([1, 2, 2]);      // two parts of 512 bytes each
  gpu().memory.free(buffer);
});
