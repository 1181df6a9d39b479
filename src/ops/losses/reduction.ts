import { empty, type Tensor } from '../../autograd/tensor.ts';
import { dispatch, tracing, type Launch } from '../../gpu/program.ts';
import { guarded, kernelForm } from '../kernel_form.ts';

/** The kernels of a loss, as one form has them. */
export type LossKernels = {
  readonly file: string;
  readonly params: Readonly<Record<string, number>>;
  readonly tuning?: Launch['tuning'];
};

type LossJob = {
  /** The operation with its shape, for a person. */
  readonly what: string;
  /** The kernels that suit the device, which read `buffers` and may write some of them. */
  readonly kernels: () => LossKernels;
  readonly buffers: Readonly<Record<string, Tensor>>;
  /** What the threads of both passes share. */
  readonly items: number;
  /** Whole numbers that labels are below; without it any will do. */
  readonly below?: ReadonlyMap<Tensor, number>;
};

type Loss = {
  /** [] */
  readonly loss: Tensor;
  /** [4], the sums behind it. */
  readonly totals: Tensor;
  /** Launches the gradient, which reads and writes `buffers`, with a thread an item. */
  readonly backward: (buffers: Readonly<Record<string, Tensor>>) => void;
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
export function reduceLoss({ what, kernels, buffers, items, below = new Map() }: LossJob): Loss {
  const [totals, loss] = [empty([4], `${what} totals`), empty([], what)];
  const forward = (): void => {
    const { file, params, tuning } = launchOf(kernels(), items);
    const partials = empty([params.threads, 4], `${what} partials`);
    const { threads } = params;
    dispatch(`${file}/forward`, { ...buffers, partials }, { threads, params, tuning });
    dispatch(`${file}/finish`, { partials, totals, loss }, { workgroups: 1, params, tuning });
  };
  guarded(what, forward, { below });
  return {
    loss, totals,
    backward: (given) => guarded(`${what}, backward`, () => {
      const { file, params, tuning } = launchOf(kernels(), items);
      dispatch(`${file}/backward`, given, { params, tuning, threads: items });
    }, { before: forward, below }),
  };
}

function launchOf({ file, params, tuning }: LossKernels, items: number) {
  const form = kernelForm(tracing(file).gpu);
  const wanted = Math.min(Math.ceil(items / ITEMS_PER_THREAD), MAX_THREADS[form]);
  const threads = form === 'tile' ? WHOLE * Math.ceil(wanted / WHOLE) : wanted;
  const ofForm: Launch['tuning'] = form === 'tile' ? { WG: WHOLE } : {};
  return { file, params: { ...params, threads }, tuning: tuning ?? ofForm };
}
