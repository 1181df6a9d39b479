import { expectShape } from '../../autograd/shape.ts';
import { record } from '../../autograd/tape.ts';
import { empty, makeTensor, type Tensor } from '../../autograd/tensor.ts';
import { dispatch } from '../../gpu/program.ts';
import { rangeOf } from '../../gpu/storage.ts';

// what the kernel has bindings for: one loss for each kind of task
const MAX_LOSSES = 6;
// floats from one loss' gradient to the next, as any device can bind
const APART = 64;

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
  const launch = { params: { count, ...factors }, threads: 1 };
  dispatch('weighted_total/forward', { ...inputs, y }, launch);

  return record('weightedTotal', losses, y, (dy) => {
    const dl = empty([MAX_LOSSES, APART], 'loss gradients');
    dispatch('weighted_total/backward', { dy, dl }, launch);
    return losses.map(({ requiresGrad }, t) => {
      const own = rangeOf(dl.storage, `gradient of loss ${t}`, 4 * APART * t, 4);
      return requiresGrad ? makeTensor([], own) : null;
    });
  });
}
