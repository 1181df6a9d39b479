import { recordMany } from '../../autograd/tape.ts';
import { empty, type Tensor } from '../../autograd/tensor.ts';
import { dispatch, tracing, type Launch } from '../../gpu/program.ts';
import { kernelForm, together } from '../kernel_form.ts';

/** The kernels of a loss, as one form has them. */
export type LossKernels = {
  readonly file: string;
  readonly params: Readonly<Record<string, number>>;
  readonly tuning?: Launch['tuning'];
};

/** A task's loss, to be launched beside others. */
export type LossJob = {
  readonly op: string;
  readonly logits: Tensor;
  readonly labels: Tensor;
  /** The kernels that suit the device. */
  readonly kernels: () => LossKernels;
  /** What the forward pass writes for the backward one, which reads it as `saved_…`. */
  readonly saved?: Readonly<Record<string, Tensor>>;
  /** What the threads of both passes share. */
  readonly items: number;
  /** What labels are below, where they are whole numbers; without it any will do. */
  readonly below?: number;
};

type Loss = LossJob & {
  /** [] */
  readonly loss: Tensor;
  /** [4], the sums behind it. */
  readonly totals: Tensor;
};

// few enough partial sums for one workgroup to add, enough threads to fill a large device
const ITEMS_PER_THREAD = 16;
const MAX_THREADS = { plain: 16384, panel: 16384, tile: 32768 };
// of the largest workgroup: then `threads` fills whole ones
const WHOLE = 256;

/**
 * Losses and their gradients. The forward has two passes, both in a fixed order: every thread sums its share
 * of the items, then one workgroup sums the threads.
 *
 * @returns of each job []
 */
export function lossesOf(jobs: readonly LossJob[]): Tensor[] {
  const what = jobs.map(({ op, logits }) => `${op} [${logits.shape.join(', ')}]`).join(', ');
  const losses = jobs.map((job): Loss =>
    ({ ...job, totals: empty([4], `${job.op} totals`), loss: empty([], job.op) }));
  const below = new Map(jobs.flatMap((job) => job.below === undefined ? [] : [[job.labels, job.below]]));
  const forwards = losses.map((each) => (): void => forward(each));
  together(what, forwards, { below });

  const inputs = jobs.flatMap(({ logits, labels }) => [logits, labels]);
  return recordMany('losses', inputs, losses.map(({ loss }) => loss), (dys) => {
    const dxs = losses.map(({ op, logits: { shape, dtype } }, i) =>
      dys[i] ? empty(shape, `${op} gradient`, dtype) : null);
    const bodies = losses.flatMap((each, i) => dxs[i] ? [(): void => backward(each, dys[i]!, dxs[i]!)] : []);
    const before = (): void => forwards.forEach((each) => each());
    together(`${what}, backward`, bodies, { below, before });
    return dxs.flatMap((dx) => [dx, null]);
  });
}

function forward({ op, logits: x, labels, kernels, saved, items, loss, totals }: Loss): void {
  const { file, params, tuning } = launchOf(kernels(), items);
  const { threads } = params;
  const partials = empty([threads, 4], `${op} partials`);
  dispatch(`${file}/forward`, { x, labels, ...saved, partials }, { threads, params, tuning });
  dispatch(`${file}/finish`, { partials, totals, loss }, { workgroups: 1, params, tuning });
}

function backward(job: Loss, dy: Tensor, dx: Tensor): void {
  const { logits: x, labels, kernels, saved = {}, items, totals } = job;
  const { file, params, tuning } = launchOf(kernels(), items);
  const kept = Object.fromEntries(Object.entries(saved).map(([name, tensor]) => [`saved_${name}`, tensor]));
  const buffers = { x, labels, ...kept, saved_totals: totals, dy, dx };
  dispatch(`${file}/backward`, buffers, { params, tuning, threads: items });
}

function launchOf({ file, params, tuning }: LossKernels, items: number) {
  const form = kernelForm(tracing(file).gpu);
  const wanted = Math.min(Math.ceil(items / ITEMS_PER_THREAD), MAX_THREADS[form]);
  const threads = form === 'tile' ? WHOLE * Math.ceil(wanted / WHOLE) : wanted;
  const ofForm: Launch['tuning'] = form === 'tile' ? { WG: WHOLE } : {};
  return { file, params: { ...params, threads }, tuning: tuning ?? ofForm };
}
