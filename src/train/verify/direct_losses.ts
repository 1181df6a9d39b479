// Variants of the release's losses that its trainer never builds: pixels left out, other denominators, other
// norms. They are made of the trainer's own operations: of the pixels that count, scaled to the variant's
// denominator.
import { z } from 'zod';
import { size } from '../../autograd/shape.ts';
import type { Tensor } from '../../autograd/tensor.ts';
import { concat, slice } from '../../ops/concat.ts';
import { add, multiply, reshape, scale } from '../../ops/elementwise.ts';
import { layernorm } from '../../ops/layernorm.ts';
import { balancedBce } from '../../ops/losses/balanced_bce.ts';
import { depthL1 } from '../../ops/losses/depth_l1.ts';
import { linear } from '../../ops/matmul.ts';
import type { Golden } from './golden.ts';
import { CHANNELS_LAST, rowsAt } from './layout.ts';
import type { Leaves } from './leaves.ts';

export const DIRECT_LOSS = z.enum(['BalancedCrossEntropyLoss', 'BinaryCrossEntropyLoss', 'NormalsLoss']);

/** Arguments of the release's constructors. */
export const KWARGS = z.strictObject({
  size_average: z.boolean().default(true),
  batch_average: z.boolean().default(true),
  pos_weight: z.number().optional(),
  normalize: z.boolean().default(false),
  norm: z.union([z.literal(1), z.literal(2)]).default(1),
});

export type DirectLoss = {
  readonly kind: z.infer<typeof DIRECT_LOSS>;
  readonly kwargs: z.infer<typeof KWARGS>;
  readonly task: string;
};

const NONE = 255;

/** A variant's loss [] of `in.logits.<task>`, `in.label.<task>` and, where pixels are left out, `in.void`. */
export function directLoss(given: DirectLoss, golden: Golden, leaves: Leaves): () => Tensor {
  const make = given.kind === 'NormalsLoss' ? normalsLoss : binaryLoss;
  return make(given, golden, leaves);
}

function binaryLoss({ kind, kwargs, task }: DirectLoss, golden: Golden, leaves: Leaves): () => Tensor {
  const labels = golden.values(`in.label.${task}`);
  const voids = golden.has('in.void') ? golden.values('in.void') : labels.map(() => 0);
  const all = [...labels.keys()];
  const counted = all.filter((i) => voids[i]! <= 0.5);
  if (kwargs.pos_weight !== undefined && counted.length < all.length) {
    throw new Error(`${golden.path}: with a fixed weight the release has no use for "in.void"`);
  }
  // the pixels that count come first
  const order = [...counted, ...all.filter((i) => voids[i]! > 0.5)];
  const layout = rowsAt(order.map((_, i) => order.indexOf(i)));
  const x = leaves.inputs([`logits.${task}`], { shape: [all.length], layout });
  const y = leaves.constant([`in.label.${task}`], { shape: [all.length], layout });
  const balanced = kwargs.pos_weight ?? all.filter((i) => labels[i]! < 0.5).length / counted.length;
  const weight = kind === 'BinaryCrossEntropyLoss' ? 0.5 : balanced;
  const images = golden.shape(`in.logits.${task}`)[0]!;
  const denominator = kwargs.size_average ? all.length : kwargs.batch_average ? images : 1;
  const factor = (kind === 'BinaryCrossEntropyLoss' ? 2 : 1) * counted.length / denominator;
  const some = (t: Tensor, shape: number[]): Tensor => reshape(slice(t, 0, 0, counted.length), shape);
  return () => scale(balancedBce(
    some(x, [1, 1, counted.length, 1]), some(y, [1, 1, counted.length]), { weight }), factor);
}

function normalsLoss({ kwargs: { normalize, norm, size_average }, task }: DirectLoss,
  golden: Golden, leaves: Leaves): () => Tensor {
  const shape = golden.shape(`in.logits.${task}`);
  const labels = CHANNELS_LAST.toDevice(golden.values(`in.label.${task}`), shape);
  const counted = labels.filter((label) => label !== NONE).length;
  const denominator = size_average ? Math.max(counted, 1e-6) : 1;
  const rows = size(shape) / 3;
  const x = leaves.inputs([`logits.${task}`], { shape: [rows, 3], layout: CHANNELS_LAST });
  const v = normalize ? unitVectors(x, leaves) : () => x;
  if (norm === 1) {
    const target = leaves.put('labels', [1, 1, 3 * rows], labels);
    return () => scale(depthL1(reshape(v(), [1, 1, 3 * rows, 1]), target), counted / denominator);
  }
  const target = leaves.put('− labels', [rows, 3], labels.map((label) => -label));
  const share = labels.map((label) => label === NONE ? 0 : 1 / denominator);
  const weights = leaves.put('weights', [1, 3 * rows], share);
  return () => {
    const miss = add(v(), target);
    return reshape(linear(reshape(multiply(miss, miss), [1, 3 * rows]), weights, null), []);
  };
}

// (v, −v) has mean 0 and variance ‖v‖²/3, so that normalising it makes √3 v/‖v‖ of v
function unitVectors(x: Tensor, leaves: Leaves): () => Tensor {
  const w = leaves.put('1/√3', [6], new Float32Array(6).fill(1 / Math.sqrt(3)));
  const b = leaves.put('0', [6], new Float32Array(6));
  return () => slice(layernorm(concat([x, scale(x, -1)]), w, b, { eps: 1e-24 }), 1, 0, 3);
}
