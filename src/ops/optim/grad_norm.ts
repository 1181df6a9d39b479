import { empty, type Tensor } from '../../autograd/tensor.ts';
import { dispatch } from '../../gpu/program.ts';
import { vectorsOf } from './arena.ts';

/** Gradients of a range of the arena: grads [64 · blocks], flags [blocks] u32. */
export type GradientRange = { readonly grads: Tensor; readonly flags: Tensor };

// few enough partial sums for one workgroup to add, enough threads to fill a large device
const VECTORS_PER_THREAD = 16;
const MAX_THREADS = 16384;

/**
 * The L2 norm of the gradients in all blocks that are updated, before any clipping.
 *
 * @param ranges the whole arena, in as many ranges as the device's binding limit makes of it
 * @param skipped [1] u32, lasting: grows by 1 where the norm is not finite, as the step is then skipped
 * @returns [1]
 */
export function gradNorm(ranges: readonly GradientRange[], skipped: Tensor): Tensor {
  const parts = ranges.map(({ grads, flags }) => {
    const vectors = vectorsOf('gradNorm', { grads, flags });
    return { grads, flags, vectors, threads: Math.min(Math.ceil(vectors / VECTORS_PER_THREAD), MAX_THREADS) };
  });

  const threads = parts.reduce((sum, part) => sum + part.threads, 0);
  const partials = empty([threads], 'gradNorm partials');
  const norm = empty([1], 'gradient norm');
  let start = 0;
  for (const { grads, flags, ...sizes } of parts) {
    const launch = { params: { ...sizes, start }, threads: sizes.threads, flops: 8 * sizes.vectors };
    dispatch('grad_norm/sum_squares', { grads, flags, partials }, launch);
    start += sizes.threads;
  }
  const params = { vectors: 0, threads, start: 0 };
  dispatch('grad_norm/finish', { partials, norm, skipped }, { workgroups: 1, params });
  return norm;
}
