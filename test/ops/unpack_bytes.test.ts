import { expect, test } from 'vitest';
import { lasting, release } from '../../src/autograd/tensor.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { NORMALISED, normaliseLevels } from '../../src/data/transforms.ts';
import { compile } from '../../src/gpu/executable.ts';
import { empty } from '../../src/autograd/tensor.ts';
import { unpackBytes, unpackLevels, wordsOf } from '../../src/ops/unpack_bytes.ts';
import { useGpu } from '../support/gpu.ts';

const gpu = useGpu();

/** Unpacks `bytes` to `shape`, as levels where a table is given. */
async function unpacked(bytes: Uint8Array, shape: readonly number[], table?: Float32Array) {
  const padded = new Uint8Array(4 * wordsOf(bytes.length));
  padded.set(bytes);
  const words = lasting(gpu(), 'words', [padded.length / 4], new Uint32Array(padded.buffer), 'u32');
  const levels = table && lasting(gpu(), 'table', [table.length / 256, 256], table);
  const y = lasting(gpu(), 'y', shape);
  const { executable } = await compile(gpu(), 'unpack', () =>
    levels ? unpackLevels(words, levels, y) : unpackBytes(words, y));
  executable.run();
  const [found] = await executable.read([y]);
  executable.destroy();
  for (const tensor of [words, y, ...levels ? [levels] : []]) release(gpu(), tensor);
  return new Float32Array(found!);
}

for (const shape of [[1], [2, 3, 3], [2, 16, 16], [300]]) {
  test(`unpackBytes() gives every byte at [${shape.join(', ')}]`, async () => {
    const bytes = Uint8Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => 37 * i + 255);
    expect(await unpacked(bytes, shape)).toEqual(Float32Array.from(bytes));
  });
}

for (const [images, height, width] of [[1, 16, 16], [2, 5, 7]] as const) {
  test(`unpackLevels() gives the very bits of the host at [${images}, 3, ${height}, ${width}]`, async () => {
    const each = 3 * height * width;
    const levels = Uint8Array.from({ length: images * each }, (_, i) => 7 * i + (i >> 8));
    const want = Array.from({ length: images }, (_, i) => levels.subarray(i * each, (i + 1) * each))
      .flatMap((image) => [...normaliseLevels(image)]);
    expect([...await unpacked(levels, [images, 3, height, width], NORMALISED)]).toEqual(want);
  });
}

test('unpackLevels() names the shape that is wrong', async () => {
  const unpack = (channels: number) => evaluate(gpu(), () => {
    unpackLevels(empty([wordsOf(4 * channels)]), empty([3, 256]), empty([1, channels, 2, 2]));
    return [];
  });
  await expect(unpack(4)).rejects.toThrow('unpackLevels: table must be [4, 256], got [3, 256]');
});
