// Which samples make a batch and how each is augmented: functions of (seed, epoch, index), nothing else.
import { keyOf, philox, uniform } from './philox.ts';

/** Last word of the counter, which keeps the two uses of a seed apart. */
const [SHUFFLE, AUGMENT] = [1, 2];

export type Position = { readonly epoch: number; readonly batch: number };

/** All of 0 … count − 1 in the order of `epoch` (Fisher and Yates' shuffle). */
export function permutation(count: number, seed: number, epoch: number): Uint32Array {
  const key = keyOf(seed);
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const [bits] = philox([i, 0, epoch, SHUFFLE], key);
    const j = Math.floor((bits * (i + 1)) / 2 ** 32);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** Four numbers in [0, 1) for sample `index` in `epoch`. */
export function sampleUniforms(seed: number, epoch: number, index: number): number[] {
  return philox([0, index, epoch, AUGMENT], keyOf(seed)).map(uniform);
}

/** Training drops an incomplete last batch, validation keeps it. */
export function countBatches(count: number, batchSize: number, train: boolean): number {
  return train ? Math.floor(count / batchSize) : Math.ceil(count / batchSize);
}

/** The position one batch on; after an epoch's last comes the next one's first. */
export function following({ epoch, batch }: Position, batchesPerEpoch: number): Position {
  return batch + 1 < batchesPerEpoch ? { epoch, batch: batch + 1 } : { epoch: epoch + 1, batch: 0 };
}
