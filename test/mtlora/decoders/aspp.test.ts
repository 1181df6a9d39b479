import { test } from 'vitest';
import { asppHead } from '../../../src/mtlora/decoders/aspp.ts';
import { checkHead } from '../../support/decoder_fixture.ts';
import type { GoldenTensor } from '../../support/golden_data.ts';
import { useGpu } from '../../support/gpu.ts';

const gpu = useGpu();
const [INPUTS, WIDTH, OUTPUTS] = [12, 256, 5];

/** The shapes of the head's state for 12 input channels and 5 outputs. */
function shapes(): [name: string, shape: number[]][] {
  const norm = (name: string): [string, number[]][] => ['weight', 'bias', 'running_mean', 'running_var']
    .map((field) => [`${name}.${field}`, [WIDTH]]);
  return [
    ...[1, 3, 3, 3].flatMap((side, branch): [string, number[]][] => [
      [`0.convs.${branch}.0.weight`, [WIDTH, INPUTS, side, side]], ...norm(`0.convs.${branch}.1`),
    ]),
    ['0.convs.4.1.weight', [WIDTH, INPUTS, 1, 1]], ...norm('0.convs.4.2'),
    ['0.project.0.weight', [WIDTH, 5 * WIDTH, 1, 1]], ...norm('0.project.1'),
    ['1.weight', [WIDTH, WIDTH, 3, 3]], ...norm('2'),
    ['4.weight', [OUTPUTS, WIDTH, 1, 1]], ['4.bias', [OUTPUTS]],
  ];
}

/** Values of the recorded head, which follow a formula of their name and place; they are not in the file. */
function formula(name: string, shape: number[]): GoldenTensor {
  const count = shape.reduce((a, b) => a * b, 1);
  const [amplitude, offset] = scaleOf(name, shape, count);
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(`aspp.${name}`)) h = Math.imul(h ^ byte, 0x01000193) >>> 0;
  const mix = (value: number): number => {
    let x = value;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return (x ^ (x >>> 16)) >>> 0;
  };
  const salt = mix((h ^ 0x9e3779b9) >>> 0);
  const data = Float32Array.from({ length: count }, (_, i) => {
    const u = (mix((mix((i + h) >>> 0) ^ salt) >>> 0) >>> 8) / 2 ** 24;
    return offset + amplitude * (2 * u - 1);
  });
  return { shape, data };
}

function scaleOf(name: string, shape: number[], count: number): [amplitude: number, offset: number] {
  if (name.endsWith('running_mean')) return [0.2, 0];
  if (name.endsWith('running_var')) return [0.5, 1];
  if (shape.length > 1) return [Math.sqrt(3 / (count / shape[0]!)), 0];
  return name.endsWith('.weight') ? [0.2, 1] : [0.1, 0];
}

for (const mode of ['train', 'eval'] as const) {
  // looser than other heads: in training the pooled branch normalises two values a channel
  test(`asppHead() agrees with the recorded one in ${mode}`, () => {
    const state = new Map(shapes().map(([name, shape]) => [name, formula(name, shape)]));
    const head: typeof asppHead = (x, params, options) => asppHead(x, params, options, { dropout: 0 });
    return checkHead(gpu(), head, 'aspp_wide', mode, state, { tolerance: 1e-4 });
  });
}
