import { expectShape, size } from '../autograd/shape.ts';
import { record } from '../autograd/tape.ts';
import { empty, type Tensor } from '../autograd/tensor.ts';
import { dispatch } from '../gpu/program.ts';

// runs of rows whose sums the gradients of w and b are made of: enough of them to fill a device, few to add up
const MAX_RUNS = 256;
const MIN_RUN = 32;

/**
 * Normalises the last axis to mean 0 and variance 1, then scales and shifts it.
 *
 * @param x [..., C]
 * @param w [C]
 * @param b [C]
 * @returns y [..., C]; keeps the mean and 1/std of each row for backward
 */
export function layernorm(x: Tensor, w: Tensor, b: Tensor, { eps = 1e-5 } = {}): Tensor {
  const channels = x.shape.at(-1)!;
  const rows = size(x.shape) / channels;
  expectShape('layernorm', 'w', w.shape, [channels]);
  expectShape('layernorm', 'b', b.shape, [channels]);

  const run = Math.max(MIN_RUN, Math.ceil(rows / MAX_RUNS));
  const runs = Math.ceil(rows / run);
  const vectors = channels % 4 === 0;
  const items = vectors ? channels / 4 : channels;
  const launch = { params: { rows, channels, items, eps, run, runs }, tuning: { Item: vectors ? 'vec4f' : 'f32' } };
  const [y, stats] = [empty(x.shape, 'layernorm'), empty([rows, 2], 'layernorm stats')];
  dispatch('layernorm/forward', { x, w, b, y, stats }, { ...launch, workgroups: rows });

  return record('layernorm', [x, w, b], y, (dy) => {
    const dx = x.requiresGrad ? empty(x.shape, 'dx') : null;
    if (dx) dispatch('layernorm/backward_x', { x, w, stats, dy, dx }, { ...launch, workgroups: rows });
    if (!w.requiresGrad && !b.requiresGrad) return [dx, null, null];      // frozen: costs nothing
    const [part_w, part_b] = [empty([runs, channels], 'part_w'), empty([runs, channels], 'part_b')];
    dispatch('layernorm/partial_affine', { x, stats, dy, part_w, part_b }, { ...launch, threads: runs * items });
    const [dw, db] = [empty(w.shape, 'dw'), empty(b.shape, 'db')];
    dispatch('layernorm/backward_affine', { part_w, part_b, dw, db }, { ...launch, threads: items });
    return [dx, dw, db];
  });
}
