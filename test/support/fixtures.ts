import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { goldenData, type GoldenTensor } from './golden_data.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures');

/** Golden tensors of `test/fixtures/<folder>/<name>.safetensors`. */
export function loadFixture(folder: string, name: string): ReturnType<typeof goldenData> {
  return goldenData(join(FIXTURES, folder, `${name}.safetensors`));
}

/** A JSON file of `test/fixtures/<folder>`. */
export function loadJson<T>(folder: string, name: string): T {
  return JSON.parse(readFileSync(join(FIXTURES, folder, `${name}.json`), 'utf8')) as T;
}

/** [B, C, H, W] as [B, H, W, C]. */
export function channelsLast({ shape, data }: GoldenTensor): GoldenTensor {
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const area = height * width;
  const out = Float32Array.from(data, (_, i) => {
    const [image, rest] = [Math.floor(i / (area * channels)), i % (area * channels)];
    return data[(image * channels + rest % channels) * area + Math.floor(rest / channels)]!;
  });
  return { shape: [batch, height, width, channels], data: out };
}
