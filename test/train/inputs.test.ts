import { expect, test } from 'vitest';
import { normaliseLevels } from '../../src/data/transforms.ts';
import { download } from '../../src/gpu/transfer.ts';
import { modelSpec } from '../../src/train/config.ts';
import { Inputs } from '../../src/train/inputs.ts';
import { useGpu } from '../support/gpu.ts';
import { tinyConfig } from '../support/tiny_model.ts';

const gpu = useGpu();

test('Inputs holds what bytes and floats mean, whichever come', async () => {
  const spec = { ...modelSpec(tinyConfig()), imgSize: 5 };         // 75 bytes: no whole words
  const inputs = await new Inputs(gpu(), spec, 1).compile();
  const image = Uint8Array.from({ length: 75 }, (_, i) => 3 * i);
  const normals = Float32Array.from({ length: 75 }, (_, i) => i / 75);
  const classes = Uint8Array.from({ length: 25 }, (_, i) => 255 - i);
  const labels = Object.fromEntries(spec.tasks.map(({ name }) =>
    [name, name === 'normals' ? normals : classes]));
  const held = async (): Promise<Float32Array[]> => {
    const all = [inputs.image, ...inputs.labels.values()];
    const found = await download(gpu(), all.map(({ storage, bytes }) => ({ ...storage.place!, bytes })));
    return found.map((bytes) => new Float32Array(bytes));
  };
  const floats = (values: Uint8Array | Float32Array): Float32Array => Float32Array.from(values);
  const want = [normaliseLevels(image), ...Object.values(labels).map(floats)];

  inputs.write({ image, labels });
  expect(await held()).toEqual(want);

  const ready = { image: new Float32Array(75).fill(0.5), labels: Object.fromEntries(
    Object.entries(labels).map(([task, values]) => [task, floats(values).map((value) => value / 2)])) };
  inputs.write(ready);
  expect(await held()).toEqual([ready.image, ...Object.values(ready.labels)]);

  const [first] = spec.tasks;
  const mixed = { image, labels: { ...labels, [first!.name]: new Float32Array(25) } };
  expect(() => inputs.write(mixed)).toThrow(
    `batch: "${first!.name}" must be 25 bytes as its image is, got 25 floats`);
  inputs.destroy();
});
