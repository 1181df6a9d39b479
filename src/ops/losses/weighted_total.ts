import { expectShape } from '../../autograd/shape.ts';
import { record } from '../../autograd/tape.ts';
import { empty, type Tensor } from '../../autograd/tensor.ts';
import { dispatch } from '../../gpu/program.ts';

// what the kernel has bindings for: one loss for each kind of task
const MAX_LOSSES = 6;

/**
 * Σ weightₜ · lossₜ, summed in the order given.
 *
 * @param losses each [], six at most
 * @returns []
 */
export function weightedTotal(losses: readonly Tensor[], weights: readonly number[]): Tensor {
  const count = losses.length;
  if (count < 1 || count > MAX_LOSSES) {
    throw new Error(`weightedTotal: losses must be 1 to ${MAX_LOSSES} tensors, got ${count}`);
  }
  if (weights.length !== count) {
    throw new Error(`weightedTotal: weights must be ${count}, got ${weights.length}`);
  }
  losses.forEach(({ shape }, t) => expectShape('weightedTotal', `losses[${t}]`, shape, []));

  const y = empty([], 'weighted total');
  const slots = Array.from({ length: MAX_LOSSES }, (_, t) => t);
  const inputs = Object.fromEntries(slots.map((t) => [`l${t}`, losses[t] ?? losses[0]!]));
  const factors = Object.fromEntries(slots.map((t) => [`w${t}`, weights[t] ?? 0]));
  dispatch('weighted_total/forward', { ...inputs, y }, { params: { count, ...factors }, threads: 1 });

  return record('weightedTotal', losses, y, (dy) => losses.map(({ requiresGrad }, t) => {
    if (!requiresGrad) return null;
    const dl = empty([], 'loss gradient');
    dispatch('elementwise/scale', { a: dy, y: dl }, { params: { count: 1, value: weights[t]! }, threads: 1 });
    return dl;
  }));
}
