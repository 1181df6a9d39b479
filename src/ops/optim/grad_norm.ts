import { empty, type Tensor } from '../../autograd/tensor.ts';
import { dispatch } from '../../gpu/program.ts';
import { GROWTH_INTERVAL } from './loss_scale.ts';
import { vectorsOf } from './arena.ts';

/** Gradients of a range of the arena: grads [64 · blocks], flags [blocks] u32. */
export type GradientRange = { readonly grads: Tensor; readonly flags: Tensor };

// few enough partial sums for one workgroup to add, enough threads to fill a large device
const VECTORS_PER_THREAD = 16;
const MAX_THREADS = 16384;

type GradNormOptions = {
  /** Of a loss that was scaled, whose scale this moves; see `lossScale`. */
  readonly scaling?: Tensor | null;
  /** Good steps in a row until the scale is doubled. */
  readonly interval?: number;
};

/**
 * The L2 norm of the gradients in all blocks that are updated, before any clipping.
 *
 * @param ranges the whole arena, in as many ranges as the device's binding limit makes of it
 * @param skipped [1] u32, lasting: grows by 1 where the norm is not finite, as the step is then skipped
 * @returns [2]: the norm of the unscaled gradients, and the factor that unscales one
 */
export function gradNorm(
  ranges: readonly GradientRange[], skipped: Tensor,
  { scaling = null, interval = GROWTH_INTERVAL }: GradNormOptions = {},
): Tensor {
  const parts = ranges.map(({ grads, flags }) => {
    const vectors = vectorsOf('gradNorm', { grads, flags });
    return { grads, flags, vectors, threads: Math.min(Math.ceil(vectors / VECTORS_PER_THREAD), MAX_THREADS) };
  });

  const threads = parts.reduce((sum, part) => sum + part.threads, 0);
  const partials = empty([threads], 'gradNorm partials');
  const norm = empty([2], 'gradient norm');
  let start = 0;
  for (const { grads, flags, ...sizes } of parts) {
    const params = { ...sizes, start, interval };
    const launch = { params, threads: sizes.threads, flops: 8 * sizes.vectors };
    dispatch('grad_norm/sum_squares', { grads, flags, partials }, launch);
    start += sizes.threads;
  }
  const launch = { workgroups: 1, params: { vectors: 0, threads, start: 0, interval } };
  const buffers = { partials, norm, skipped };
  if (scaling) dispatch('grad_norm/finish_scaled', { ...buffers, scaling }, launch);
  else dispatch('grad_norm/finish', buffers, launch);
  return norm;
}
