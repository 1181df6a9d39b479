import { expect } from 'vitest';
import { expectClose } from '../../src/autograd/gradcheck.ts';
import { evaluate } from '../../src/autograd/run.ts';
import { backward } from '../../src/autograd/tape.ts';
import { lasting, release, trainable, type Tensor } from '../../src/autograd/tensor.ts';
import type { Gpu } from '../../src/gpu/device.ts';
import type { Mode, Params } from '../../src/mtlora/decoders/params.ts';
import { channelsLast, loadFixture } from './fixtures.ts';
import type { GoldenTensor } from './golden_data.ts';

type Head = (features: readonly Tensor[], params: Params, mode: Mode) => Tensor;
type State = ReadonlyMap<string, GoldenTensor>;

/** Parameters `param.*` and buffers `buffer.*` of a recorded head. */
export function recordedState(name: string): State {
  const golden = loadFixture('decoders', name);
  return new Map(['param.', 'buffer.'].flatMap((prefix) => golden.names
    .filter((each) => each.startsWith(prefix) && !each.endsWith('num_batches_tracked'))
    .map((each) => [each.slice(prefix.length), golden.tensor(each)] as const)));
}

export type HeadOptions = {
  /** Largest relative L2 error of outputs, gradients and running statistics. */
  readonly tolerance: number;
  /** What has a training gradient of zero, up to noise: it shifts a channel, which the next norm undoes. */
  readonly zero?: readonly string[];
  /** Parameters that the head never uses. */
  readonly unused?: readonly string[];
};

/** Runs a head on a recorded case and holds its output, its gradients and what its buffers end as to it. */
export async function checkHead(
  gpu: Gpu, head: Head, name: string, mode: 'train' | 'eval', state: State, options: HeadOptions,
): Promise<void> {
  const { tolerance, zero = [], unused = [] } = options;
  const golden = loadFixture('decoders', name);
  const want = (key: string): GoldenTensor => {
    const found = golden.tensor(`${mode}.${key}`);
    return found.shape.length === 4 && !key.endsWith('weight') ? channelsLast(found) : found;
  };
  const place = (label: string, { shape, data }: GoldenTensor) => lasting(gpu, label, shape, data);
  const isBuffer = (key: string): boolean => key.includes('running_');
  const features = [0, 1, 2, 3].map((i) => channelsLast(golden.tensor(`in.x.${i}`)))
    .map((x, i) => trainable(place(`x.${i}`, x)));
  const params = Object.fromEntries([...state].map(([key, value]) =>
    [key, isBuffer(key) ? place(key, value) : trainable(place(key, value))]));
  const dy = place('upstream', channelsLast(golden.tensor('upstream')));
  const leaves: Record<string, Tensor> = {
    ...Object.fromEntries(features.map((x, i) => [`x.${i}`, x])),
    ...Object.fromEntries(Object.entries(params).filter(([key]) => !isBuffer(key) && !unused.includes(key))),
  };
  const [y, ...gradients] = await evaluate(gpu, () => {
    const out = head(features, params, { training: mode === 'train' });
    const found = backward([[out, dy]]);
    for (const key of unused) expect(found.get(params[key]!)).toBeNull();
    return [out, ...Object.values(leaves).map((leaf) => found.get(leaf)!)];
  });
  const buffers = Object.keys(params).filter(isBuffer);
  const after = await evaluate(gpu, () => buffers.map((key) => params[key]!));

  expectClose('output', y!, want('out').data, tolerance);
  Object.keys(leaves).forEach((key, i) => {
    const got = gradients[i]!;
    const sampled = golden.names.includes(`${mode}.grad.${key}#every127`);
    if (mode === 'train' && zero.includes(key)) {
      expect(Math.max(...got.map(Math.abs)), `gradient of ${key}`).toBeLessThan(1e-4);
    } else if (sampled) {
      const some = got.filter((_, k) => k % 127 === 0);
      expectClose(`gradient of ${key}`, some, want(`grad.${key}#every127`).data, tolerance);
    } else {
      expectClose(`gradient of ${key}`, got, want(`grad.${key}`).data, tolerance);
    }
  });
  buffers.forEach((key, i) => {
    const expected = mode === 'train' ? want(`after.${key}`) : state.get(key)!;
    expectClose(key, after[i]!, expected.data, tolerance);
  });
  for (const tensor of [...features, ...Object.values(params), dy]) release(gpu, tensor);
}
