import { empty, type Tensor } from '../../autograd/tensor.ts';
import { dispatch, tracing, type Launch } from '../../gpu/program.ts';
import { kernelForm } from '../kernel_form.ts';

/** A loss [] with what its gradient needs of the sums behind it, and the parameters of its kernels. */
export type Reduction = {
  readonly loss: Tensor;
  readonly totals: Tensor;
  readonly params: Readonly<Record<string, number>>;
  readonly tuning: NonNullable<Launch['tuning']>;
};

// few enough partial sums for one workgroup to add, enough threads to fill a large device
const ITEMS_PER_THREAD = 16;
const MAX_THREADS = { plain: 16384, panel: 16384, tile: 32768 };
// of the largest workgroup: then `threads` fills whole ones
const WHOLE = 256;

/**
 * The forward of a loss in its two passes, both in a fixed order: every thread sums its share of the items,
 * then one workgroup sums the threads.
 */
export function reduceLoss(
  kernel: string, buffers: Readonly<Record<string, Tensor>>,
  items: number, sizes: Readonly<Record<string, number>>, chosen?: Reduction['tuning'],
): Reduction {
  const form = kernelForm(tracing(kernel).gpu);
  const wanted = Math.min(Math.ceil(items / ITEMS_PER_THREAD), MAX_THREADS[form]);
  const threads = form === 'tile' ? WHOLE * Math.ceil(wanted / WHOLE) : wanted;
  const tuning = chosen ?? (form === 'tile' ? { WG: WHOLE } : {});
  const params = { ...sizes, threads };
  const partials = empty([threads, 4], `${kernel} partials`);
  const totals = empty([4], `${kernel} totals`);
  const loss = empty([], kernel);
  dispatch(`${kernel}/forward`, { ...buffers, partials }, { threads, params, tuning });
  dispatch(`${kernel}/finish`, { partials, totals, loss }, { workgroups: 1, params, tuning });
  return { loss, totals, params, tuning };
}
