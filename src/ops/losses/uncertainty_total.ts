import { expectShape, size } from '../../autograd/shape.ts';
import { record } from '../../autograd/tape.ts';
import { empty, type Tensor } from '../../autograd/tensor.ts';
import { dispatch } from '../../gpu/program.ts';

// a workgroup of the kernel
const MAX_LOSSES = 8;

/**
 * Σ cₜ exp(−sₜ) lossₜ + sₜ/2 under learned log-variances s, with c = ½ for `measured` losses, which stand for
 * a squared or absolute error, and 1 for those that are likelihoods of classes.
 *
 * @param losses [T], eight at most
 * @param logVariances [T]
 * @returns []
 */
export function uncertaintyTotal(
  losses: Tensor, logVariances: Tensor, { measured }: { measured: readonly boolean[] },
): Tensor {
  const count = size(losses.shape);
  if (count < 1 || count > MAX_LOSSES) {
    throw new Error(`uncertaintyTotal: losses must be 1 to ${MAX_LOSSES}, got ${count}`);
  }
  expectShape('uncertaintyTotal', 'logVariances', logVariances.shape, [count]);
  expectShape('uncertaintyTotal', 'measured', [measured.length], [count]);
  const halved = measured.reduce((bits, half, t) => bits + (half ? 2 ** t : 0), 0);
  const launch = { workgroups: 1, params: { count, halved } };
  const inputs = { l: losses, s: logVariances };
  const y = empty([], 'uncertainty total');
  dispatch('uncertainty_total/forward', { ...inputs, y }, launch);
  return record('uncertaintyTotal', [losses, logVariances], y, (dy) => {
    const [dl, ds] = [empty([count], 'loss gradients'), empty([count], 'log-variance gradients')];
    dispatch('uncertainty_total/backward', { ...inputs, dy, dl, ds }, launch);
    return [dl, ds];
  });
}
