import { empty, type Tensor } from '../../autograd/tensor.ts';
import { dispatch } from '../../gpu/program.ts';

/** A loss [] with what its gradient needs of the sums behind it, and the parameters of its kernels. */
export type Reduction = {
  readonly loss: Tensor;
  readonly totals: Tensor;
  readonly params: Readonly<Record<string, number>>;
};

// few enough partial sums for one workgroup to add, enough threads to fill a large device
const ITEMS_PER_THREAD = 16;
const MAX_THREADS = 16384;

/**
 * The forward of a loss in its two passes, both in a fixed order: every thread sums its share of the items,
 * then one workgroup sums the threads.
 */
export function reduceLoss(
  kernel: string, buffers: Readonly<Record<string, Tensor>>,
  items: number, sizes: Readonly<Record<string, number>>,
): Reduction {
  const threads = Math.min(Math.ceil(items / ITEMS_PER_THREAD), MAX_THREADS);
  const params = { ...sizes, threads };
  const partials = empty([threads, 4], `${kernel} partials`);
  const totals = empty([4], `${kernel} totals`);
  const loss = empty([], kernel);
  dispatch(`${kernel}/forward`, { ...buffers, partials }, { threads, params });
  dispatch(`${kernel}/finish`, { partials, totals, loss }, { workgroups: 1, params });
  return { loss, totals, params };
}
