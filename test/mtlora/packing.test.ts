import { expect, test } from 'vitest';
import { size } from '../../src/autograd/shape.ts';
import { laidOut, packParameters, takenOut } from '../../src/mtlora/packing.ts';
import type { Head, ModelSpec } from '../../src/mtlora/spec.ts';
import { releasedSpec } from '../support/released.ts';

const RELEASED = releasedSpec('mtlora_tiny_448_r64_scale4_pertask');

const withHeads = (spec: ModelSpec, heads: readonly Head[]): ModelSpec =>
  ({ ...spec, tasks: spec.tasks.map((task, t) => ({ ...task, head: heads[t % heads.length]! })) });

test('packParameters() gives the maps of HRNet heads room for whole vec4', () => {
  const packs = new Map(packParameters(RELEASED).map((pack) => [pack.name, pack]));
  const count = RELEASED.tasks.length;
  expect(packs.get('downsampler.downsample_0.weight')!.shape).toEqual([count, 20, 192]);
  expect(packs.get('downsampler.downsample_1.weight')!.shape).toEqual([count, 36, 384]);
  // 18 + 36 + 72 + 144
  expect(packs.get('decoders.hrnet.last_layer.0.weight')!.shape).toEqual([count, 1080, 272]);
});

test('packParameters() leaves no room where another head reads the maps', () => {
  const packs = packParameters(withHeads(RELEASED, ['hrnet', 'aspp']));
  const [first] = packs.filter(({ name }) => name === 'downsampler.downsample_0.weight');
  expect(first!.shape.slice(1)).toEqual([18, 192]);
  expect(packs.flatMap(({ parts }) => parts).every(({ layout }) => typeof layout === 'string')).toBe(true);
});

test('packParameters() gives room to downsamplers that all tasks share, without an axis of tasks', () => {
  const spec = { ...RELEASED, decoder: { ...RELEASED.decoder, downsampler: 'shared' as const } };
  const [first] = packParameters(spec).filter(({ name }) => name === 'downsampler.downsample_0.weight');
  expect(first!.shape).toEqual([20, 192]);
});

test('laidOut() puts zeros into the room, and takenOut() finds every value again', () => {
  const packs = packParameters(RELEASED).filter(({ parts: [first] }) => typeof first!.layout !== 'string');
  expect(packs).toHaveLength(5);
  for (const { parts, shape } of packs) {
    const part = parts.at(-1)!;
    const values = Float32Array.from({ length: size(part.parameter.shape) }, (_, i) => i + 1);
    const laid = laidOut(part, values);
    const whole = new Float32Array(size(shape));
    whole.set(laid, part.at);
    expect(takenOut(part, whole).every((value, i) => value === values[i])).toBe(true);
    expect(laid.reduce((count, value) => count + Number(value !== 0), 0)).toBe(values.length);
  }
});
